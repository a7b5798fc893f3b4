//! Building an image in the engine of a Dockerfile and the folder that it stands in. What the engine says meanwhile is passed on.

use std::fs::{self, File};
use std::io::{self, Seek, Write};
use std::path::Path;

use bollard::query_parameters::BuildImageOptionsBuilder;
use futures::TryStreamExt;
use ignore::gitignore::{Gitignore, GitignoreBuilder};
use tokio::io::AsyncWriteExt;
use tokio_util::io::ReaderStream;

use super::{Engine, refused};
use crate::{Class, Error, Talk};

/// Names what of the folder does not go to the engine.
const IGNORE: &str = ".dockerignore";

impl Engine {
    /// Builds the image `tag` of the folder `dir` by the Dockerfile of this name in it.
    ///
    /// # Errors
    /// When the folder cannot be read, or a step of the Dockerfile fails.
    pub async fn build(&self, dir: &Path, dockerfile: &str, tag: &str, talk: &Talk) -> Result<(), Error> {
        let path = dir.join(dockerfile);
        fs::metadata(&path).map_err(|source| Error::File { act: "open", path, source })?;
        let unread = |source| Error::File { act: "read", path: dir.to_owned(), source };
        let (folder, name) = (dir.to_owned(), dockerfile.to_owned());
        let packed = tokio::task::spawn_blocking(move || context(&folder, &name)).await;
        let file = packed.unwrap_or_else(|error| Err(io::Error::other(error))).map_err(unread)?;
        let body = bollard::body_try_stream(ReaderStream::new(tokio::fs::File::from_std(file)));
        let options = BuildImageOptionsBuilder::default().dockerfile(dockerfile).t(tag).rm(true).forcerm(true).build();
        let failed = |source: bollard::errors::Error| refused(&format!("build {tag}"), source);
        let mut said = self.client().build_image(options, None, Some(body));
        while let Some(line) = said.try_next().await.map_err(failed)? {
            if let Some(error) = line.error_detail.and_then(|detail| detail.message) {
                return Err(Error::Compose {
                    act: format!("build {tag}"),
                    source: error.into(),
                    hint: None,
                    class: Class::Failed,
                });
            }
            for text in line.stream.iter().flat_map(|text| text.lines()).filter(|text| !text.trim().is_empty()) {
                talk.say(text.trim_end());
            }
        }
        Ok(())
    }
}

impl Engine {
    /// Writes an image into a file, as `docker save` does.
    ///
    /// # Errors
    /// When there is no such image, or the file cannot be written.
    pub async fn save(&self, image: &str, file: &Path) -> Result<(), Error> {
        let unwritten = |source| Error::File { act: "write", path: file.to_owned(), source };
        let mut out = tokio::fs::File::create(file).await.map_err(unwritten)?;
        let mut saved = Box::pin(self.client().export_image(image));
        while let Some(bytes) = saved.try_next().await.map_err(|source| refused(&format!("save {image}"), source))? {
            out.write_all(&bytes).await.map_err(unwritten)?;
        }
        out.flush().await.map_err(unwritten)
    }
}

/// The folder as a tar, without what its `.dockerignore` names.
fn context(dir: &Path, dockerfile: &str) -> io::Result<File> {
    let ignored = ignored(dir)?;
    let mut tar = tar::Builder::new(tempfile::tempfile()?);
    tar.follow_symlinks(false);
    add(&mut tar, dir, dir, &ignored, dockerfile)?;
    let mut file = tar.into_inner()?;
    file.flush()?;
    file.rewind()?;
    Ok(file)
}

fn ignored(dir: &Path) -> io::Result<Gitignore> {
    let mut builder = GitignoreBuilder::new(dir);
    let text = match fs::read_to_string(dir.join(IGNORE)) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(error),
    };
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        // Docker's patterns begin at the folder, whether they say so or not.
        let (not, pattern) = line.strip_prefix('!').map_or(("", line), |rest| ("!", rest));
        let pattern = pattern.trim_start_matches("./").trim_start_matches('/');
        builder.add_line(None, &format!("{not}/{pattern}")).map_err(io::Error::other)?;
    }
    builder.build().map_err(io::Error::other)
}

fn add(tar: &mut tar::Builder<File>, root: &Path, dir: &Path, ignored: &Gitignore, dockerfile: &str) -> io::Result<()> {
    let mut entries = fs::read_dir(dir)?.collect::<io::Result<Vec<_>>>()?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let (path, kind) = (entry.path(), entry.file_type()?);
        let inside = path.strip_prefix(root).unwrap_or(&path);
        // The engine needs these two, whatever the patterns say.
        let needed = inside == Path::new(dockerfile) || inside == Path::new(IGNORE);
        if kind.is_dir() {
            if !ignored.matched(&path, true).is_ignore() {
                tar.append_dir(inside, &path)?;
            }
            // Something in it may be taken back in, or needed.
            add(tar, root, &path, ignored, dockerfile)?;
        } else if needed || !ignored.matched_path_or_any_parents(&path, false).is_ignore() {
            tar.append_path_with_name(&path, inside)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_ignored_stays_here() {
        let dir = tempfile::tempdir().expect("a folder");
        for (name, text) in [
            ("Dockerfile", "FROM scratch"),
            (".dockerignore", "# comment\nsecret\n*.log\ntarget\n!target/keep\n"),
            ("secret", "x"),
            ("a.log", "x"),
            ("deep/secret", "y"),
            ("target/big", "x"),
            ("target/keep", "y"),
            ("main.py", "y"),
        ] {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().expect("in a folder")).expect("made");
            fs::write(path, text).expect("written");
        }
        let file = context(dir.path(), "Dockerfile").expect("packed");
        let names: Vec<String> = tar::Archive::new(file)
            .entries()
            .expect("a tar")
            .map(|entry| entry.expect("an entry"))
            .filter(|entry| entry.header().entry_type().is_file())
            .map(|entry| entry.path().expect("a path").display().to_string())
            .collect();
        assert_eq!(names, [".dockerignore", "Dockerfile", "deep/secret", "main.py", "target/keep"]);
    }
}
