//! The part of the route table that is about people: listed in [`super::routes`], which stays readable so.

use actix_web::web;

use super::{
    auth,
    need::{ADMIN, HOST, OPEN, OPERATE_FOUND},
    openapi::{Doc, Reply::*},
    route::{Also, Entry, Verb, action, entry, read},
    shapes, share, users,
};

/// Of what writes to the database: what a full or broken disk says.
const CHANGED: &[u16] = &[403, 409, 500, 503, 507];

pub const LOGIN: Entry = action(
    "/api/auth/login",
    OPEN,
    || web::post().to(auth::login),
    Doc::new("Signs in: a cookie, and the token that changes must bring besides it", Json(&shapes::LOGIN))
        .takes(&shapes::LOGIN_ASKED)
        .others(&[401, 403, 429, 500, 503, 507]),
);
pub const LOGOUT: Entry = action(
    "/api/auth/logout",
    HOST,
    || web::post().to(auth::logout),
    Doc::new("Ends the session", Json(&shapes::DONE)).others(&[500, 507]),
);
pub const PASSWORD: Entry = action(
    "/api/auth/password",
    HOST,
    || web::post().to(auth::password),
    Doc::new("One's own password: all one's sessions end, and another begins", Json(&shapes::LOGIN))
        .takes(&shapes::PASSWORD_ASKED)
        .others(&[401, 403, 429, 500, 503, 507]),
);
pub const ME: Entry = entry(
    "/api/auth/me",
    OPEN,
    || read().to(auth::me),
    Doc::new("Who asks, and what everybody may see live", Json(&shapes::ME)),
);
pub const USERS: Entry = Entry {
    more: &[Also {
        verb: Verb::Post,
        need: ADMIN,
        handler: || web::post().to(users::add),
        doc: Doc::new("Another user; without a password one is made and told this once", Json(&shapes::USER))
            .takes(&shapes::USER_ASKED)
            .others(CHANGED),
    }],
    ..entry("/api/users", ADMIN, || read().to(users::list), Doc::new("Who may sign in", Json(&shapes::USERS)))
};
pub const USER: Entry = Entry {
    more: &[
        Also {
            verb: Verb::Patch,
            need: ADMIN,
            handler: || web::patch().to(users::edit),
            doc: Doc::new("Another role, password or rights; a password ends the sessions", Json(&shapes::USER))
                .takes(&shapes::USER_EDIT)
                .others(&[403, 404, 409, 500, 503, 507]),
        },
        Also {
            verb: Verb::Delete,
            need: ADMIN,
            handler: || web::delete().to(users::remove),
            doc: Doc::new("With sessions and tokens; the last admin stays", Nothing)
                .others(&[403, 404, 409, 500, 503, 507]),
        },
    ],
    ..entry(
        "/api/users/{user}",
        ADMIN,
        || read().to(users::one),
        Doc::new("One of them", Json(&shapes::USER)).others(&[404]),
    )
};
pub const TOKENS: Entry = Entry {
    more: &[Also {
        verb: Verb::Post,
        need: ADMIN,
        handler: || web::post().to(users::add_token),
        doc: Doc::new("A token for a program, told this once", Json(&shapes::TOKEN))
            .takes(&shapes::TOKEN_ASKED)
            .others(CHANGED),
    }],
    ..entry("/api/tokens", ADMIN, || read().to(users::tokens), Doc::new("Tokens of programs", Json(&shapes::TOKENS)))
};
pub const TOKEN: Entry = Entry {
    more: &[Also {
        verb: Verb::Delete,
        need: ADMIN,
        handler: || web::delete().to(users::remove_token),
        doc: Doc::new("It ends", Nothing).others(&[403, 404, 500, 503, 507]),
    }],
    ..entry(
        "/api/tokens/{token}",
        ADMIN,
        || read().to(users::token),
        Doc::new("One of them", Json(&shapes::TOKEN)).others(&[404]),
    )
};
pub const SHARE: Entry = Entry {
    more: &[Also {
        verb: Verb::Delete,
        need: ADMIN,
        handler: || web::delete().to(share::end_all),
        doc: Doc::new("All links that were ever signed end", Nothing).others(&[500, 507]),
    }],
    ..action(
        "/api/host/share",
        OPERATE_FOUND,
        || web::post().to(share::create),
        Doc::new("A signed link: one range of one camera, for whoever has it, until it expires", Json(&shapes::SHARED))
            .takes(&shapes::SHARE_ASKED)
            .others(&[403, 404, 500, 503, 507]),
    )
};
