//! `GET /api/audit`: who signed in, and who changed which camera, area, setting, user or token; newest first.

use actix_web::{HttpResponse, web};
use serde::Deserialize;
use serde_json::json;

use super::{State, fresh, incidents::invalid};
use crate::error::Result;

const PAGE_DEFAULT: usize = 100;
const PAGE_MAX: usize = 1000;

#[derive(Debug, Default, Deserialize)]
pub struct Query {
    limit: Option<String>,
    before: Option<String>,
}

/// The handler.
pub async fn list(state: State, query: web::Query<Query>) -> Result<HttpResponse> {
    let digits = |text: &&String| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let limit = match &query.limit {
        None => PAGE_DEFAULT,
        Some(text) => Some(text)
            .filter(digits)
            .and_then(|text| text.parse().ok())
            .filter(|limit| (1..=PAGE_MAX).contains(limit))
            .ok_or_else(|| invalid("limit", "must be 1 to 1000"))?,
    };
    let before = match &query.before {
        None => None,
        Some(text) => {
            let number = Some(text).filter(digits).and_then(|text| text.parse().ok());
            Some(number.ok_or_else(|| invalid("before", "must be the id of an entry"))?)
        }
    };
    let entries = state.registry.audit(before, limit).await?;
    Ok(fresh(HttpResponse::Ok(), json!({"entries": entries})))
}
