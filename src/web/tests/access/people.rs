//! One's own password, and the events that somebody hears.

use super::*;

#[test]
fn whoever_is_signed_in_changes_their_own_password_and_nothing_else() {
    const NEW: &str = "another-good-one";
    let host = guarded(|_| {});
    host.user("lena", Role::Viewer, &["Hall"]);
    let ([cookie, csrf], [elsewhere, _]) = (host.sign_in("lena"), host.sign_in("lena"));
    let ask = |headers: &[&str], body: Value| host.call("POST", "/api/auth/password", headers, &body);
    let check = |body: Value, path: Option<&str>| {
        let reply = ask(&[&cookie, &csrf], body);
        assert_eq!((reply.status, reply.json()["error"]["path"].as_str()), (400, path), "{}", reply.text());
    };
    check(json!([]), None);
    check(json!({"new_password": NEW}), Some("password"));
    check(json!({"password": PASSWORD}), Some("new_password"));
    check(json!({"password": PASSWORD, "new_password": 12_345_678}), Some("new_password"));
    check(json!({"password": PASSWORD, "new_password": "short"}), Some("new_password"));
    check(json!({"password": PASSWORD, "new_password": "x".repeat(513)}), Some("new_password"));
    check(json!({"password": PASSWORD, "new_password": NEW, "user": "root"}), Some("user"));
    check(json!({"password": "not-mine", "new_password": NEW}), Some("password"));
    let body = json!({"password": PASSWORD, "new_password": NEW});
    assert_eq!(ask(&[&cookie], body.clone()).status, 403, "without the token of the session");
    let bearer = host.bearer("lena", Role::Viewer);
    assert_eq!(ask(&[&bearer], body.clone()).status, 403, "a program has no password");
    assert_eq!(host.ask("GET", "/api/host/state", &[&elsewhere]).status, 200, "nothing has happened yet");

    let changed = ask(&[&cookie, &csrf], body);
    assert_eq!(changed.status, 200, "{}", changed.text());
    let fresh = format!("Cookie: {}", changed.header("set-cookie").unwrap().split(';').next().unwrap());
    let statuses = [&cookie, &elsewhere, &fresh].map(|it| host.ask("GET", "/api/host/state", &[it]).status);
    assert_eq!(statuses, [401, 401, 200], "all sessions but the new one are over");
    let login = |password: &str| {
        host.call("POST", "/api/auth/login", &[], &json!({"username": "lena", "password": password})).status
    };
    assert_eq!((login(PASSWORD), login(NEW)), (401, 200));
}

#[test]
fn events_are_told_to_those_who_may_see_what_they_are_about() {
    let host = guarded(|_| {});
    host.user("hall-viewer", Role::Viewer, &["Hall"]);
    let rights = Rights { areas: Vec::new(), cameras: vec!["attic".parse().unwrap()] };
    let new = NewUser { name: "attic".into(), password: Some(PASSWORD.into()), role: Role::Viewer, rights };
    wait(host.state.access.add_user(&Caller::local(), new)).unwrap();
    host.user("root", Role::Admin, &[]);
    let events = &host.state.feed.events;
    let publish = |device: Option<&str>, number: u32, area: &str| {
        let device = device.map(|id| id.parse().unwrap());
        events.publish(crate::events::Topic::Device, "device_up", device.as_ref(), json!({"n": number, "area": area}));
    };
    publish(Some("cam"), 1, "Hall");
    publish(Some("yard"), 2, "Yard");
    // What an event says of a place counts only for a device that is no longer there.
    publish(Some("yard"), 3, "Hall");
    publish(Some("hall-gone"), 4, "Hall");
    publish(Some("yard-gone"), 5, "Yard");
    publish(Some("attic"), 6, "Yard");
    publish(None, 7, "");
    let heard = |user: &str| {
        let began = Clock::system().mono();
        // That whoever listened before is gone shows when there is something to tell; told too often, the first
        // events would be forgotten.
        while host.state.metrics.event_listeners.get() > 0 {
            assert!(Clock::system().mono().since(began) < Duration::from_secs(10), "the place is free again");
            publish(None, 8, "");
            std::thread::sleep(Duration::from_millis(50));
        }
        let bearer = host.bearer(user, Role::Viewer);
        let mut stream = TcpStream::connect(host.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let head = "Host: localhost\r\nConnection: close";
        write!(stream, "GET /api/events?after=0 HTTP/1.1\r\n{head}\r\n{bearer}\r\n\r\n").unwrap();
        let mut text = String::new();
        while !text.contains("\"n\":7") {
            let mut some = [0; 4096];
            let count = stream.read(&mut some).unwrap();
            assert!(count > 0, "{text}");
            text.push_str(std::str::from_utf8(&some[..count]).unwrap());
        }
        let data = text.lines().filter_map(|line| line.strip_prefix("data: "));
        data.filter_map(|data| serde_json::from_str::<Value>(data).unwrap()["n"].as_u64()).collect::<Vec<_>>()
    };
    assert_eq!(heard("hall-viewer"), [1, 4, 7]);
    assert_eq!(heard("attic")[..2], [6, 7]);
    assert_eq!(heard("root")[..7], [1, 2, 3, 4, 5, 6, 7]);
}
