//! The operation of an application: begun, carried on by a turn, ended, tried again. The state is what stands in the status.

use futures::{StreamExt, stream};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use tinderbox_api::gitops::{AppProject, Application, History, OperationState, SyncOperation, SyncResult, marks};
use tinderbox_client::{Note, Result};

use super::act::Acting;
use super::observe::{self, View};
use super::{Context, metrics, report};
use crate::sync::{Act, Check, Operation, Outcome, Results, Settings, Settled, Sync, Turn, retry, window};

/// How often a sync that a window keeps back looks again.
const WINDOW_PAUSE: std::time::Duration = std::time::Duration::from_secs(30);
/// Objects that are tried or written side by side.
const TOGETHER: usize = 16;
/// How many syncs are remembered when nothing is said of it.
const HISTORY: i64 = 10;

/// When to look again, and what to tell.
#[derive(Default)]
pub(super) struct Step {
    pub(super) again: Option<Timestamp>,
    pub(super) notes: Vec<Note>,
}

/// Takes over what an application is asked to do, if it is not at something else.
pub(super) fn begin(app: &mut Application, now: Timestamp) -> Option<Note> {
    let status = app.status.get_or_insert_default();
    if status.operation_state.as_ref().is_some_and(|state| Operation::is_open(&state.phase)) {
        return None;
    }
    let operation = app.operation.take()?;
    // One that has not been compared yet has no status, which may not be without this.
    if status.sync.status.is_empty() {
        "Unknown".clone_into(&mut status.sync.status);
    }
    let by = operation.initiated_by.clone().unwrap_or_default();
    let revision = operation.sync.as_ref().map(|sync| sync.revision.clone()).unwrap_or_default();
    status.operation_state = Some(OperationState {
        operation,
        phase: Operation::Running.as_str().to_owned(),
        started_at: Some(Time(now)),
        ..OperationState::default()
    });
    let who = match (by.automated.unwrap_or_default(), by.username.is_empty()) {
        (true, _) => "Initiated automated".to_owned(),
        (false, true) => "Unknown user initiated".to_owned(),
        (false, false) => format!("{} initiated", by.username),
    };
    Some(Note::normal(app, "OperationStarted", format!("{who} sync to '{revision}'")))
}

/// Carries an open operation on by one turn.
pub(super) async fn carry_on(
    context: &Context,
    app: &mut Application,
    project: &AppProject,
    view: &View,
    now: Timestamp,
) -> Result<Step> {
    let Some(mut state) = app.status.as_ref().and_then(|status| status.operation_state.clone()) else {
        return Ok(Step::default());
    };
    if !Operation::is_open(&state.phase) {
        return Ok(Step::default());
    }
    let strategy = state.operation.retry.clone();
    if let Some(failed) = &state.finished_at {
        let due = retry::at(strategy.as_ref(), failed.0, state.retry_count.unwrap_or(1) - 1);
        // What somebody has mended since need not wait, and has not failed yet.
        let is_mended =
            is_automated(&state) && state.sync_result.as_ref().is_some_and(|result| result.revision != view.revision);
        if due > now && !is_mended && state.phase != Operation::Terminating.as_str() {
            return Ok(Step { again: Some(due), ..Step::default() });
        }
        state.finished_at = None;
        if is_mended {
            state.retry_count = None;
        }
        if let Some(result) = &mut state.sync_result {
            result.resources.clear();
            if is_mended || strategy.as_ref().and_then(|strategy| strategy.refresh).unwrap_or_default() {
                result.revision.clone_from(&view.revision);
            }
        }
    }
    let Some(asked) = state.operation.sync.clone() else {
        return Ok(end(app, state, Operation::Error, "the operation asks for nothing: it has no sync", now));
    };
    if !asked.manifests.is_empty() {
        let wrong = "operation.sync.manifests are not synced here: put them into the source";
        return Ok(end(app, state, Operation::Error, wrong, now));
    }
    let by = state.operation.initiated_by.clone().unwrap_or_default();
    let windows = &project.spec.sync_windows;
    let may = window::allows(windows, app, !by.automated.unwrap_or_default(), now);
    match may {
        Ok(true) => (),
        Ok(false) if state.sync_result.is_some() => (),
        Ok(false) => {
            "Sync operation blocked by sync window".clone_into(&mut state.message);
            app.status.get_or_insert_default().operation_state = Some(state);
            return Ok(Step { again: Some(tinderbox_client::clock::after(now, WINDOW_PAUSE)), ..Step::default() });
        }
        Err(wrong) => return Ok(end(app, state, Operation::Error, &wrong, now)),
    }
    let own = match own_view(context, app, &state, &asked, view).await? {
        Ok(own) => own,
        Err(wrong) => return Ok(failed(app, state, Operation::Error, &wrong, now)),
    };
    let view = own.as_ref().unwrap_or(view);
    let result = state.sync_result.get_or_insert_with(|| SyncResult {
        revision: view.revision.clone(),
        source: asked.source.clone().or_else(|| app.spec.source.clone()),
        sources: app.spec.sources.clone(),
        ..SyncResult::default()
    });
    let mut settings = Settings::of(app, &asked);
    settings.revision.clone_from(&result.revision);
    settings.started = state.started_at.as_ref().map_or(0, |time| time.0.as_second());
    settings.prune_confirmed = approved(app).is_some_and(|at| at.as_second() >= settings.started);
    let live = |key: &crate::sync::Key| context.kinds.live(key);
    for hook in &view.hooks {
        context
            .kinds
            .get(hook["apiVersion"].as_str().unwrap_or_default(), hook["kind"].as_str().unwrap_or_default())
            .await?;
    }
    if settings.namespace.is_some() {
        context.kinds.get("v1", "Namespace").await?;
    }
    let sync = Sync::new(&view.pairs, &view.hooks, &live, settings);
    let mut results = Results::new(std::mem::take(&mut result.resources));
    let copy = app.clone();
    let acting = Acting { context, app: &copy, project, view, sync: &sync };
    let is_ending = state.phase == Operation::Terminating.as_str();
    let settling =
        async { if is_ending { terminate(&acting, &mut results).await } else { turn(&acting, &mut results).await } };
    let settled = metrics::of_sync(&copy, settling).await;
    if let Some(result) = &mut state.sync_result {
        result.resources = results.into_inner();
    }
    Ok(match settled {
        Settled::Again(message) => {
            let moved = state.message != message;
            state.message = message;
            app.status.get_or_insert_default().operation_state = Some(state);
            Step { again: moved.then_some(now), ..Step::default() }
        }
        Settled::End(Operation::Succeeded, message, _) => end(app, state, Operation::Succeeded, &message, now),
        Settled::End(_, message, _) if state.phase == Operation::Terminating.as_str() => {
            end(app, state, Operation::Failed, &message, now)
        }
        Settled::End(phase, message, _) => failed(app, state, phase, &message, now),
    })
}

/// Whether the controller began an operation by itself.
fn is_automated(state: &OperationState) -> bool {
    state.operation.initiated_by.as_ref().is_some_and(|by| by.automated.unwrap_or_default())
}

/// The objects of an operation that is about another source or revision than the application's.
async fn own_view(
    context: &Context,
    app: &Application,
    state: &OperationState,
    asked: &SyncOperation,
    view: &View,
) -> Result<std::result::Result<Option<View>, String>> {
    let begun = state.sync_result.as_ref().map(|result| result.revision.clone());
    let revision = begun.unwrap_or_else(|| asked.revision.clone());
    let same = revision.is_empty() || revision == view.revision;
    if asked.source.is_none() && same {
        return Ok(Ok(None));
    }
    let source = match asked.source.clone().map_or_else(|| observe::source_of(app), Ok) {
        Ok(source) => source,
        Err(wrong) => return Ok(Err(wrong)),
    };
    Ok(observe::view(context, app, source, revision).await?.map(Some))
}

async fn turn(acting: &Acting<'_>, results: &mut Results) -> Settled {
    let mut turn = acting.sync.turn(results);
    if let Turn::Check(all) = &turn {
        let checks =
            all.clone().into_iter().map(|index| async move { (index, acting.check(&acting.sync.tasks[index]).await) });
        let outcomes: Vec<(usize, Check)> = stream::iter(checks).buffered(TOGETHER).collect().await;
        if let Some(settled) = acting.sync.checked(results, &outcomes) {
            return settled;
        }
        turn = acting.sync.proceed(results);
    }
    match turn {
        Turn::Check(_) => Settled::Again("one or more tasks are running".to_owned()),
        Turn::Wait(message) => Settled::Again(message),
        Turn::End(phase, message, last) => finish(acting, phase, message, last).await,
        Turn::Do(acts) => {
            let mut outcomes: Vec<(Act, Outcome)> = Vec::new();
            // Kinds come one after the other, the objects of a kind together.
            let kind = |act: &Act| (std::mem::discriminant(act), &acting.sync.tasks[act.task()].key.kind);
            for alike in acts.chunk_by(|one, two| kind(one) == kind(two)) {
                if !Sync::goes_on(&outcomes, alike[0]) {
                    break;
                }
                let doing = alike.iter().copied().map(|act| async move { (act, acting.act(act).await) });
                outcomes.extend(stream::iter(doing).buffered(TOGETHER).collect::<Vec<_>>().await);
            }
            match acting.sync.settle(results, &outcomes) {
                Settled::End(phase, message, last) => finish(acting, phase, message, last).await,
                again @ Settled::Again(_) => again,
            }
        }
    }
}

async fn finish(acting: &Acting<'_>, phase: Operation, message: String, last: Vec<Act>) -> Settled {
    for act in last {
        if let Err(error) = acting.act(act).await {
            return Settled::End(Operation::Error, format!("failed to delete hook: {error}"), Vec::new());
        }
    }
    Settled::End(phase, message, Vec::new())
}

/// Ends an operation that somebody wants to end: hooks under way go, what was written stays.
async fn terminate(acting: &Acting<'_>, results: &mut Results) -> Settled {
    for act in acting.sync.terminate(results) {
        if let Err(error) = acting.act(act).await {
            return Settled::End(Operation::Error, format!("Operation termination had errors: {error}"), Vec::new());
        }
    }
    Settled::End(Operation::Failed, "Operation terminated".to_owned(), Vec::new())
}

/// An operation has failed: it is tried again, or over.
fn failed(app: &mut Application, mut state: OperationState, phase: Operation, message: &str, now: Timestamp) -> Step {
    let count = state.retry_count.unwrap_or_default();
    let strategy = state.operation.retry.clone();
    if !retry::is_due(strategy.as_ref(), count) {
        let tries = if count > 0 { format!(" (retried {count} times).") } else { String::new() };
        return end(app, state, phase, &format!("{message}{tries}"), now);
    }
    let due = retry::at(strategy.as_ref(), now, count);
    let attempt = count + 1;
    state.retry_count = Some(attempt);
    state.finished_at = Some(Time(now));
    state.message = format!("{message}. Retrying attempt #{attempt} at {}.", due.strftime("%-I:%M:%S%p"));
    app.status.get_or_insert_default().operation_state = Some(state);
    Step { again: Some(due), ..Step::default() }
}

fn end(app: &mut Application, mut state: OperationState, phase: Operation, message: &str, now: Timestamp) -> Step {
    phase.as_str().clone_into(&mut state.phase);
    message.clone_into(&mut state.message);
    state.finished_at = Some(Time(now));
    let asked = state.operation.sync.clone().unwrap_or_default();
    let result = state.sync_result.clone().unwrap_or_default();
    let is_whole = asked.resources.is_empty() && !asked.dry_run.unwrap_or_default();
    let limit = app.spec.revision_history_limit.unwrap_or(HISTORY);
    let status = app.status.get_or_insert_default();
    if phase == Operation::Succeeded && is_whole {
        let id = status.history.last().and_then(|last| last.id).map_or(0, |id| id + 1);
        status.history.push(History {
            revision: result.revision.clone(),
            deployed_at: Some(Time(now)),
            id: Some(id),
            source: result.source.clone(),
            deploy_started_at: state.started_at.clone(),
            sources: result.sources.clone(),
            revisions: result.revisions.clone(),
            initiated_by: state.operation.initiated_by.clone(),
        });
        let over = status.history.len().saturating_sub(usize::try_from(limit).unwrap_or_default());
        status.history.drain(..over);
    }
    status.operation_state = Some(state);
    let to = &result.revision;
    let note = if phase == Operation::Succeeded {
        Note::normal(app, "OperationCompleted", format!("Sync operation to {to} succeeded"))
    } else {
        Note::warning(app, "OperationCompleted", format!("Sync operation to {to} failed: {message}"))
    };
    if phase == Operation::Succeeded {
        report::clear(app, "SyncError");
    }
    Step { again: Some(now), notes: vec![note] }
}

/// When leave was given for what is deleted with leave only.
pub(super) fn approved(app: &Application) -> Option<Timestamp> {
    app.metadata.annotations.as_ref()?.get(marks::DELETION_APPROVED)?.parse().ok()
}
