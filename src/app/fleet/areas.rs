//! Areas: made, renamed with the cameras in them, removed when they are empty.

use super::Desk;
use crate::{
    config::Camera,
    error::{Error, Kind, Result},
    registry::Change,
};

impl Desk {
    pub(super) async fn add_area(&mut self, name: String, by: &str) -> Result<()> {
        if self.has_area(&name) {
            return Err(Error::new(Kind::Conflict, "there is an area of that name"));
        }
        self.carry(vec![Change::AddArea(name)], Vec::new(), &[], by).await
    }

    pub(super) async fn rename_area(&mut self, from: &str, to: &str, by: &str) -> Result<()> {
        self.changeable_area(from)?;
        if self.has_area(to) {
            return Err(Error::new(Kind::Conflict, "there is an area of that name"));
        }
        let inside = self.stored.cameras.iter().filter(|stored| stored.camera.area == from);
        let (mut changes, mut moved) = (Vec::new(), Vec::new());
        for stored in inside {
            moved.push(stored.camera.id.clone());
            changes.push(Change::Put(Box::new(Camera { area: to.to_owned(), ..stored.camera.clone() })));
        }
        changes.push(Change::DeleteArea(from.to_owned()));
        changes.push(Change::AddArea(to.to_owned()));
        // A name restarts nothing, so that nothing can fail behind it.
        self.carry(changes, Vec::new(), &moved, by).await
    }

    pub(super) async fn remove_area(&mut self, name: String, by: &str) -> Result<()> {
        self.changeable_area(&name)?;
        if let Some(stored) = self.stored.cameras.iter().find(|stored| stored.camera.area == name) {
            let message = format!("cameras are in it: {}", stored.camera.id);
            return Err(Error::new(Kind::Conflict, message));
        }
        self.carry(vec![Change::DeleteArea(name)], Vec::new(), &[], by).await
    }

    fn changeable_area(&self, name: &str) -> Result<()> {
        if !self.has_area(name) {
            return Err(Error::new(Kind::NotFound, "there is no such area"));
        }
        match self.file.iter().find(|camera| camera.area == name) {
            Some(camera) => Err(Error::new(Kind::Conflict, format!("the settings file puts {} into it", camera.id))),
            None => Ok(()),
        }
    }

    fn has_area(&self, name: &str) -> bool {
        let stored = self.stored.cameras.iter().map(|stored| &stored.camera);
        self.stored.areas.iter().any(|area| area == name) || self.file.iter().chain(stored).any(|it| it.area == name)
    }
}
