//! The one thread that writes: takes everything that is queued, puts it into the log in one piece, syncs, publishes.

use std::sync::Arc;
use std::thread::{self, JoinHandle};

use crate::OpenError;
use crate::disk::{Folder, record};
use crate::handle::{Closing, Shared};
use crate::state::Write;

/// Object bytes in one frame of the log, roughly.
const BATCH_BYTES: usize = 4 << 20;

pub(crate) fn start(shared: Arc<Shared>, folder: Folder) -> Result<JoinHandle<()>, OpenError> {
    let dir = folder.dir().to_owned();
    thread::Builder::new()
        .name("store-writer".to_owned())
        .stack_size(256 << 10)
        .spawn(move || {
            // Also when this thread panics: nobody may wait for it for ever.
            let ended = Ended(shared);
            run(&ended.0, folder);
        })
        .map_err(OpenError::io("start the writer of", &dir))
}

struct Ended(Arc<Shared>);

impl Drop for Ended {
    fn drop(&mut self) {
        self.0.ended();
    }
}

fn run(shared: &Shared, mut folder: Folder) {
    loop {
        let (batch, closing) = shared.take(BATCH_BYTES);
        if batch.is_empty() {
            if closing == Some(Closing::Close) && folder.has_changes() {
                snapshot(shared, &mut folder);
            }
            return;
        }
        let written = folder.append(|payload| {
            for queued in &batch {
                match &queued.write {
                    Write::Put(object) => record::put(payload, object),
                    Write::Delete(object) => record::delete(payload, object),
                }
            }
        });
        match written {
            Ok(()) => shared.publish(batch),
            Err(error) => {
                tracing::warn!(dir = %folder.dir().display(), writes = batch.len(), %error, "writes to the store failed");
                shared.fail(batch, &Arc::new(error));
            }
        }
        let live = shared.state().live_bytes();
        if folder.wants_snapshot(live) {
            snapshot(shared, &mut folder);
        }
    }
}

fn snapshot(shared: &Shared, folder: &mut Folder) {
    // Only this thread changes what is visible, so that the log holds exactly this.
    let (revision, objects) = {
        let state = shared.state();
        (state.revision(), state.objects())
    };
    if let Err(error) = folder.rotate(revision, &objects) {
        tracing::warn!(dir = %folder.dir().display(), %error, "a snapshot of the store failed; the log grows on");
    }
}
