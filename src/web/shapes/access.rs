//! The shapes of who may come in: logins, users, tokens, links.

use crate::web::shape::Shape::{self, *};

/// Of a login and of `/api/auth/me`.
const WHO: Shape = Fields(&[
    ("name", Text),
    ("role", Maybe(&Word(&["viewer", "operator", "admin"]))),
    ("areas", List(&Text)),
    ("cameras", List(&Text)),
]);

pub const LOGIN_ASKED: Shape = Fields(&[("username", Text), ("password", Text)]);

pub const PASSWORD_ASKED: Shape = Fields(&[("password", Text), ("new_password", Text)]);

pub const LOGIN: Shape = Fields(&[("success", Flag), ("user", WHO), ("csrf_token", Text), ("session_seconds", Count)]);

pub const DONE: Shape = Fields(&[("success", Flag)]);

pub const ME: Shape = Fields(&[
    ("auth", Flag),
    ("user", Maybe(&WHO)),
    ("csrf_token?", Text),
    ("live", List(&Fields(&[("id", Text), ("name", Text), ("area", Text), ("playlist_url", Link)]))),
]);

pub const USER: Shape = Fields(&[
    ("name", Text),
    ("role", Word(&["viewer", "operator", "admin"])),
    ("areas", List(&Text)),
    ("cameras", List(&Text)),
    ("created", Time),
    ("changed", Time),
    ("password?", Text),
]);

pub const USERS: Shape = Fields(&[("users", List(&USER))]);

pub const USER_ASKED: Shape = Fields(&[
    ("name", Text),
    ("role", Word(&["viewer", "operator", "admin"])),
    ("password?", Text),
    ("areas?", List(&Text)),
    ("cameras?", List(&Text)),
]);

pub const USER_EDIT: Shape = Fields(&[
    ("role?", Word(&["viewer", "operator", "admin"])),
    ("password?", Text),
    ("areas?", List(&Text)),
    ("cameras?", List(&Text)),
]);

pub const TOKEN: Shape = Fields(&[
    ("id", Text),
    ("name", Text),
    ("user", Text),
    ("scope", Word(&["read", "operate", "admin"])),
    ("created", Time),
    ("expires", Time),
    ("token?", Text),
]);

pub const TOKENS: Shape = Fields(&[("tokens", List(&TOKEN))]);

pub const TOKEN_ASKED: Shape =
    Fields(&[("name", Text), ("scope", Word(&["read", "operate", "admin"])), ("user?", Text), ("expires", Moment)]);

pub const SHARE_ASKED: Shape = Fields(&[("device", Text), ("start", Moment), ("end", Moment), ("expires", Moment)]);

pub const SHARED: Shape = Fields(&[
    ("device", Text),
    ("start", Time),
    ("end", Time),
    ("expires", Time),
    ("share", Text),
    ("url", Text),
    ("clip_url", Link),
    ("playlist_url", Link),
    ("still_url", Link),
]);
