//! `/api/transcode`: what became of old footage, and what people ask of the transcoder. The work is [`Runner`]'s.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use actix_web::{HttpResponse, web};
use serde_json::{Value, json};

use super::{
    State, WebState,
    control::Request,
    fresh,
    incidents::{fields, invalid, text, unknown},
};
use crate::{
    access::Caller,
    error::{Error, Kind, Result},
    transcode::Runner,
};

/// Longest path of a file that Linux takes.
const PATH_CHARS_MAX: usize = 4096;

/// `GET /api/transcode`
pub async fn stats(state: State, caller: Caller) -> Result<HttpResponse> {
    let mut body = json!(state.transcoder.stats()?);
    body["status"] = shown(&state, &caller, body["status"].take());
    Ok(fresh(HttpResponse::Ok(), body))
}

/// Its state as the caller may see it: what is in work, and what holds it, may be other people's cameras.
pub(super) fn shown(state: &WebState, caller: &Caller, mut status: Value) -> Value {
    if caller.sees_all() {
        return status;
    }
    status["detail"] = Value::Null;
    let device = status.pointer("/current/device").and_then(Value::as_str).and_then(|id| id.parse().ok());
    if !device.is_some_and(|id| state.sees(caller, &id)) {
        status["current"] = Value::Null;
    }
    status
}

/// `POST /api/transcode/enable`
pub async fn enable(state: State) -> Result<HttpResponse> {
    switch(&state, true).await
}

/// `POST /api/transcode/disable`: what runs is finished.
pub async fn disable(state: State) -> Result<HttpResponse> {
    switch(&state, false).await
}

async fn switch(state: &State, enabled: bool) -> Result<HttpResponse> {
    let told = on_thread(state, move |runner| {
        runner.set_enabled(enabled)?;
        runner.stats()
    });
    Ok(fresh(HttpResponse::Ok(), told.await?))
}

/// `POST /api/transcode/run` `{file}` or `{all: true, force?}`
pub async fn run(state: State, body: web::Json<Value>) -> Result<HttpResponse> {
    let wish = wish(&body)?;
    let accepted = on_thread(&state, move |runner| match wish {
        Wish::File(file) => runner.ask_file(&file),
        Wish::All { force } => runner.ask_all(force),
    });
    Ok(fresh(HttpResponse::Ok(), accepted.await?))
}

/// `POST /api/transcode/rollback` `{file}`
pub async fn roll_back(state: State, body: web::Json<Value>) -> Result<HttpResponse> {
    let Wish::File(file) = wish(&body)? else { return Err(invalid("file", "is missing")) };
    let done = on_thread(&state, move |runner| runner.roll_back(&file));
    Ok(fresh(HttpResponse::Ok(), done.await?))
}

/// It may wait for the database or the disk.
async fn on_thread<T: Send + 'static>(
    state: &State,
    work: impl FnOnce(&Runner) -> Result<T> + Send + 'static,
) -> Result<T> {
    let runner = Arc::clone(&state.transcoder);
    let busy = |_| Error::new(Kind::Unavailable, "too much waits for the disk");
    state.readers.run(move || work(&runner)).await.map_err(busy)?
}

#[derive(Debug, PartialEq)]
enum Wish {
    File(PathBuf),
    All { force: bool },
}

fn wish(body: &Value) -> Result<Wish> {
    let (mut file, mut all, mut force) = (None, false, false);
    for (name, value) in fields(body)? {
        let flag = || value.as_bool().ok_or_else(|| invalid(name, "must be true or false"));
        match name.as_str() {
            "file" => file = Some(PathBuf::from(text("file", value, PATH_CHARS_MAX)?)),
            "all" => all = flag()?,
            "force" => force = flag()?,
            other => return Err(unknown(other)),
        }
    }
    match (file, all) {
        (Some(_), true) => Err(invalid("all", "cannot be said together with a file")),
        (Some(_), false) if force => Err(invalid("force", "is for all; a named file needs none")),
        (Some(file), false) if is_plain(&file) => Ok(Wish::File(file)),
        (Some(_), false) => Err(invalid("file", "must be the path of a file, without '..'")),
        (None, true) => Ok(Wish::All { force }),
        (None, false) => Err(invalid("file", "is missing; or say all")),
    }
}

fn is_plain(path: &Path) -> bool {
    use std::path::Component;
    path.components().next().is_some()
        && path.components().all(|part| matches!(part, Component::RootDir | Component::Normal(_)))
}

impl WebState {
    /// What the command line asks of the transcoder; None when it asks for something else.
    pub(super) fn answer_of_transcoder(&self, request: &Request) -> Option<Result<Value>> {
        let runner = &self.transcoder;
        let switched = |enabled| {
            runner.set_enabled(enabled)?;
            Ok(json!(runner.stats()?))
        };
        Some(match request {
            Request::TranscodeStats => runner.stats().map(|stats| json!(stats)),
            Request::TranscodeEnable => switched(true),
            Request::TranscodeDisable => switched(false),
            Request::TranscodeFile { file } => runner.ask_file(file).map(|told| json!(told)),
            Request::TranscodeAll { force } => runner.ask_all(*force).map(|told| json!(told)),
            Request::TranscodeRollback { file } => runner.roll_back(file).map(|told| json!(told)),
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wish_is_one_file_or_all() {
        let check = |body: Value, expected: std::result::Result<Wish, Option<&str>>| {
            let found = wish(&body).map_err(|error| error.path);
            assert_eq!(found, expected.map_err(|path| path.map(str::to_owned)), "{body}");
        };
        let file = |path: &str| Ok(Wish::File(path.into()));
        check(json!({"file": "cam/segments/3/chunk_10min_2.mp4"}), file("cam/segments/3/chunk_10min_2.mp4"));
        check(json!({"file": "/archive/cam/x.mp4", "all": false}), file("/archive/cam/x.mp4"));
        check(json!({"all": true}), Ok(Wish::All { force: false }));
        check(json!({"all": true, "force": true}), Ok(Wish::All { force: true }));
        for bad in [json!(""), json!("../x"), json!("a/../../x"), json!(5), json!(null), json!("a\u{0}b"), json!(".")] {
            check(json!({"file": bad}), Err(Some("file")));
        }
        check(json!({"file": "x".repeat(4097)}), Err(Some("file")));
        check(json!({"file": "x", "all": true}), Err(Some("all")));
        check(json!({"file": "x", "force": true}), Err(Some("force")));
        check(json!({"all": "yes"}), Err(Some("all")));
        check(json!({"force": true}), Err(Some("file")));
        check(json!({}), Err(Some("file")));
        check(json!({"files": ["x"]}), Err(Some("files")));
        check(json!([]), Err(None));
    }
}
