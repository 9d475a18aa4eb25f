//! Passwords inside addresses: how they are hidden from whoever looks, and kept when somebody sends the hidden form back.

/// Stands for what is not shown.
const MASK: &str = "***";

/// Parameters of a query that open a source, as cameras of many makers call them.
const SECRETS: [&str; 14] = [
    "password",
    "passwd",
    "pass",
    "pwd",
    "psw",
    "token",
    "access_token",
    "secret",
    "key",
    "api_key",
    "apikey",
    "auth",
    "signature",
    "sig",
];

/// The parts of a URL that matter here; together they are the whole.
struct Parts<'a> {
    scheme: &'a str,
    user: Option<&'a str>,
    host: &'a str,
    path: &'a str,
    query: Option<&'a str>,
}

impl<'a> Parts<'a> {
    fn of(url: &'a str) -> Option<Self> {
        let (scheme, rest) = url.split_once("://")?;
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let at = match rest.get(..end)?.rfind('@') {
            Some(at) => Some(at),
            // `user:pa/ss@host`: what should be a port is none, so that the address goes on behind the sign.
            None => rest.get(..end)?.split_once(':').and_then(|(_, port)| {
                let is_port = port.bytes().all(|byte| byte.is_ascii_digit());
                (!is_port && !port.contains(']')).then(|| rest.rfind('@')).flatten()
            }),
        };
        let (user, rest) = match at {
            Some(at) => (rest.get(..at), rest.get(at + 1..)?),
            None => (None, rest),
        };
        let (host, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        let (path, query) = path.split_once('?').map_or((path, None), |(path, query)| (path, Some(query)));
        Some(Self { scheme, user, host, path, query })
    }

    /// With another user and other values of the parameters.
    fn join(&self, user: Option<&str>, mut value: impl FnMut(&str, &str) -> String) -> String {
        let user = user.map(|user| format!("{user}@")).unwrap_or_default();
        let mut url = format!("{}://{user}{}{}", self.scheme, self.host, self.path);
        if let Some(query) = self.query {
            let each = query.split('&').map(|piece| match piece.split_once('=') {
                Some((name, found)) => format!("{name}={}", value(name, found)),
                None => piece.to_owned(),
            });
            url = url + "?" + &each.collect::<Vec<_>>().join("&");
        }
        url
    }

    fn value(&self, wanted: &str) -> Option<&'a str> {
        let pieces = self.query?.split('&').filter_map(|piece| piece.split_once('='));
        pieces.into_iter().find(|(name, _)| *name == wanted).map(|(_, value)| value)
    }
}

fn is_secret(name: &str) -> bool {
    SECRETS.iter().any(|secret| name.eq_ignore_ascii_case(secret))
}

/// A URL without its user and password, for messages and logs.
pub fn redact(url: &str) -> String {
    let Some(parts) = Parts::of(url) else { return url.to_owned() };
    let hide = |name: &str, value: &str| if is_secret(name) { MASK.to_owned() } else { value.to_owned() };
    parts.join(parts.user.map(|_| MASK), hide)
}

/// `sent` with what [`redact`] had hidden of `stored`. None: it hides what is not known, or of another host, which must
/// not get this one's password.
pub fn reveal(sent: &str, stored: Option<&str>) -> Option<String> {
    let Some(parts) = Parts::of(sent) else { return Some(sent.to_owned()) };
    let hidden = |name: &str, value: &str| is_secret(name) && value == MASK;
    let is_hidden = parts.user == Some(MASK)
        || parts.query.is_some_and(|query| {
            query.split('&').filter_map(|piece| piece.split_once('=')).any(|(name, value)| hidden(name, value))
        });
    if !is_hidden {
        return Some(sent.to_owned());
    }
    let known = Parts::of(stored?)?;
    if !parts.scheme.eq_ignore_ascii_case(known.scheme) || !parts.host.eq_ignore_ascii_case(known.host) {
        return None;
    }
    let user = if parts.user == Some(MASK) { Some(known.user?) } else { parts.user };
    let mut missing = false;
    let whole = parts.join(user, |name, value| match known.value(name) {
        Some(secret) if hidden(name, value) => secret.to_owned(),
        None if hidden(name, value) => {
            missing = true;
            String::new()
        }
        _ => value.to_owned(),
    });
    (!missing).then_some(whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_shown_without_passwords() {
        let check = |url: &str, expected: &str| assert_eq!(redact(url), expected);
        check("rtsp://admin:p@ss@10.0.0.2:554/a@b", "rtsp://***@10.0.0.2:554/a@b");
        check("rtsp://10.0.0.2/live", "rtsp://10.0.0.2/live");
        check("rtsp://10.0.0.2:554/live@2", "rtsp://10.0.0.2:554/live@2");
        check("rtsp://admin:pa/ss@10.0.0.2/live", "rtsp://***@10.0.0.2/live");
        check("rtsp://[fe80::1]/live@2", "rtsp://[fe80::1]/live@2");
        check("http://h/v.cgi?user=me&PWD=secret&fps=5", "http://h/v.cgi?user=me&PWD=***&fps=5");
        check("http://u:p@h?token=a=b&x", "http://***@h?token=***&x");
        check("no address", "no address");
    }

    #[test]
    fn what_was_hidden_is_kept_for_the_same_host_alone() {
        let check = |sent: &str, stored: Option<&str>, expected: Option<&str>| {
            assert_eq!(reveal(sent, stored).as_deref(), expected, "{sent} over {stored:?}");
        };
        let stored = Some("rtsp://me:secret@10.0.0.2:554/one");
        check("rtsp://***@10.0.0.2:554/one", stored, stored);
        check("rtsp://***@10.0.0.2:554/two?x=1", stored, Some("rtsp://me:secret@10.0.0.2:554/two?x=1"));
        check("rtsp://you:other@10.0.0.2:554/one", stored, Some("rtsp://you:other@10.0.0.2:554/one"));
        check("rtsp://10.0.0.2:554/one", stored, Some("rtsp://10.0.0.2:554/one"));
        check("rtsp://***@10.0.0.3:554/one", stored, None);
        check("rtsp://***@10.0.0.2/one", stored, None);
        check("http://***@10.0.0.2:554/one", stored, None);
        check("rtsp://***@10.0.0.2:554/one", None, None);
        check("rtsp://***@h/one", Some("rtsp://h/one"), None);
        check("http://h/?pwd=***&a=1", Some("http://h/?pwd=s"), Some("http://h/?pwd=s&a=1"));
        check("http://h/?pwd=***", Some("http://h/?pass=s"), None);
        check("http://h/***?x=***", None, Some("http://h/***?x=***"));
    }
}
