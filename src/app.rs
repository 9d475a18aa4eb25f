//! app
use std::path::Path;

use crate::{config::Settings, error::Result};

pub fn run(_settings: Settings, _config: Option<&Path>) -> Result<()> {
    Ok(())
}
