//! nginx over the same files, as the measure of what serving them costs: sendfile on, two workers.
#![allow(dead_code)]

use std::{
    fs,
    net::SocketAddr,
    path::Path,
    process::{Child, Command, Stdio},
};

use super::common::{
    daemon::{Usage, children_of, free_address},
    http, until,
};
use rustix::process::{Pid, Signal};

pub struct Nginx {
    child: Child,
    pub address: SocketAddr,
    _folder: tempfile::TempDir,
}

impl Nginx {
    /// None where there is no nginx; `scripts/setup.sh bench` installs it.
    /// `more` goes into its `server` block.
    pub fn start(root: &Path, more: &str) -> Option<Self> {
        let program = ["/usr/sbin/nginx", "/usr/bin/nginx", "/usr/local/sbin/nginx"];
        let program = program.iter().find(|program| Path::new(program).exists())?;
        let folder = tempfile::tempdir().unwrap();
        let address = free_address();
        let at = folder.path().display();
        // Root's workers would become somebody who may not read the archive.
        let user = if rustix::process::geteuid().is_root() { "user root;" } else { "" };
        let settings = format!(
            "{user} daemon off; worker_processes 2; pid {at}/pid; error_log {at}/errors;\n\
             events {{ worker_connections 512; }}\n\
             http {{ access_log off; sendfile on; tcp_nopush on; keepalive_requests 1000000;\n\
             client_body_temp_path {at}/body; proxy_temp_path {at}/proxy; fastcgi_temp_path {at}/fastcgi;\n\
             uwsgi_temp_path {at}/uwsgi; scgi_temp_path {at}/scgi;\n\
             types {{ video/mp4 mp4; video/mp2t ts; application/vnd.apple.mpegurl m3u8; }}\n\
             server {{ listen {address}; root {}; {more} }} }}\n",
            root.display()
        );
        let file = folder.path().join("nginx.conf");
        fs::write(&file, settings).unwrap();
        let mut command = Command::new(program);
        command.arg("-p").arg(folder.path()).arg("-c").arg(&file).arg("-e").arg(folder.path().join("errors"));
        let child = command.stdin(Stdio::null()).spawn().unwrap();
        let nginx = Self { child, address, _folder: folder };
        until("nginx answers", 10, || http::request(address, "GET", "/", &[]).is_ok());
        Some(nginx)
    }

    /// CPU time of its master and workers.
    pub fn cpu_seconds(&self) -> f64 {
        let master = Pid::from_child(&self.child);
        let workers = children_of(master).into_iter().map(|(pid, _)| pid);
        std::iter::once(master).chain(workers).map(|pid| Usage::of(pid).cpu_seconds).sum()
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = rustix::process::kill_process(Pid::from_child(&self.child), Signal::TERM);
        let _ = self.child.wait();
    }
}
