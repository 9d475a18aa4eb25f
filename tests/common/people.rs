//! People at browsers of their own in front of a daemon with access control on, as `tests/browser/settings.mjs` drives them.

use serde_json::{Value, json};

use super::{
    Setup, TestDaemon,
    browser::Browser,
    http::{Response, send_with},
    skip, until,
};

const CAMERA: &str = "area = \"Hall\"\nquality = \"low\"\nfps = 10\nsource = { kind = \"test\", tone = 440 }";

pub fn guarded() -> Setup {
    Setup::new().set("auth.enabled", true).camera("cam", CAMERA)
}

/// A daemon with its first password, and browsers for people who look at it. None: a loud skip.
pub fn begin(test: &str, setup: Setup) -> Option<(TestDaemon, String, Browser)> {
    let program = match Browser::missing() {
        Ok(program) => program,
        Err(why) => {
            skip(test, &why);
            return None;
        }
    };
    let daemon = TestDaemon::start(setup);
    if !daemon.get("/").text().contains("/assets/") {
        skip(test, "the binary was built without its page; run `make ui` and build again");
        return None;
    }
    until("the first start tells a password", 10, || daemon.log().contains("admin password: "));
    let log = daemon.log();
    let rest = log.split("admin password: ").nth(1).expect("the first start tells a password");
    let password = rest.chars().take_while(|it| it.is_ascii_alphanumeric() || *it == '_').collect();
    let browser = Browser::driven_by("settings.mjs", &program, &format!("http://{}/", daemon.address()));
    Some((daemon, password, browser))
}

/// Somebody at a browser of their own.
pub struct Person<'a> {
    pub browser: &'a mut Browser,
    pub who: &'a str,
}

impl Person<'_> {
    #[track_caller]
    pub fn ask(&mut self, action: &str, mut options: Value) -> Value {
        options["who"] = json!(self.who);
        self.browser.ask(action, options)
    }

    #[track_caller]
    pub fn enters(&mut self, path: &str, name: &str, password: &str) {
        self.ask("go", json!({"path": path}));
        self.signs_in(name, password);
    }

    #[track_caller]
    pub fn signs_in(&mut self, name: &str, password: &str) {
        assert_eq!(self.ask("login", json!({"username": name, "password": password})), json!({"inside": true}));
    }

    #[track_caller]
    pub fn goes(&mut self, path: &str) {
        self.ask("go", json!({"path": path}));
    }

    #[track_caller]
    pub fn fills(&mut self, fields: Value) {
        self.ask("fill", json!({"fields": fields}));
    }

    #[track_caller]
    pub fn clicks(&mut self, what: &str) {
        self.ask("click", json!({"what": what}));
    }

    #[track_caller]
    pub fn sees(&mut self, what: &str, text: &str) -> String {
        self.ask("see", json!({"what": what, "text": text}))["text"].as_str().unwrap().to_owned()
    }

    #[track_caller]
    pub fn saves(&mut self) {
        self.clicks(".form-acts button[type=submit]");
    }

    #[track_caller]
    pub fn fault(&mut self, name: &str) -> String {
        self.ask("fault", json!({"name": name})).as_str().unwrap().to_owned()
    }

    #[track_caller]
    pub fn count(&mut self, what: &str) -> u64 {
        self.ask("count", json!({"what": what})).as_u64().unwrap()
    }
}

pub fn at<'a>(browser: &'a mut Browser, who: &'a str) -> Person<'a> {
    Person { browser, who }
}

/// Chromium calls refusals errors that the page asked for and shows: those of the daemon's API with these statuses.
#[track_caller]
pub fn clean(browser: &mut Browser, statuses: &[&str]) {
    let report = browser.ask("report", json!({}));
    let refused = |problem: &str| {
        problem.contains("/api/") && statuses.iter().any(|status| problem.contains(&format!("status of {status}")))
    };
    let problems = report["problems"].as_array().unwrap().iter();
    let others: Vec<_> = problems.filter(|problem| !refused(problem.as_str().unwrap())).collect();
    assert!(others.is_empty(), "{others:#?}");
    assert_eq!(report["ran"], false, "a name became a script");
}

pub fn login(daemon: &TestDaemon, name: &str, password: &str) -> Response {
    let body = json!({"username": name, "password": password});
    send_with(daemon.address(), "POST", "/api/auth/login", &[], &body).unwrap()
}

/// What the API says to whoever signs in so.
#[track_caller]
pub fn told(daemon: &TestDaemon, name: &str, password: &str, path: &str) -> Response {
    let reply = login(daemon, name, password);
    assert_eq!(reply.status, 200, "{}", reply.text());
    let cookie = reply.header("set-cookie").unwrap().split(';').next().unwrap().to_owned();
    daemon.get_with(path, &[("Cookie", &cookie)])
}
