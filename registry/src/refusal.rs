use std::time::{Duration, SystemTime};

use serde::Deserialize;
use ureq::http::header::RETRY_AFTER;

use crate::content_range::number;
use crate::target::shown;
use crate::wire::Response;
use crate::{Cause, Limits, json};

/// What a registry says when it refuses (distribution specification, "Error Codes").
#[derive(Deserialize)]
struct Refusal {
    #[serde(default)]
    errors: Vec<Reason>,
}

#[derive(Deserialize)]
struct Reason {
    #[serde(default)]
    code: String,
    #[serde(default)]
    message: String,
}

/// The response, if its status is one of `statuses`; else what it says about it.
pub(crate) fn expect(
    mut response: Response,
    statuses: &[u16],
    limits: &Limits,
) -> Result<Response, Cause> {
    if statuses.contains(&response.status) {
        return Ok(response);
    }
    let code = response.status;
    let retry_after =
        response.header(RETRY_AFTER).and_then(wanted).map(|wait| wait.min(limits.retry_after));
    let detail = reasons(&mut response, limits);
    match code {
        200..300 | 304 => Err(Cause::answer(format!("status {code}"))),
        401 => Err(Cause::Unauthorized(if detail.is_empty() {
            "status 401".to_owned()
        } else {
            detail
        })),
        _ => Err(Cause::Status { code, detail, retry_after }),
    }
}

/// The registry's words are a help, never a reason to fail otherwise.
fn reasons(response: &mut Response, limits: &Limits) -> String {
    let body = response.read(u64::from(limits.error), "error").unwrap_or_default();
    let refusal = json::object::<Refusal>(&body);
    let reason = refusal.and_then(|refusal| refusal.errors.into_iter().next());
    reason.map_or_else(String::new, |reason| {
        shown(format!("{} {}", reason.code, reason.message).trim())
    })
}

/// RFC 9110, 10.2.3: seconds or a date.
fn wanted(text: &str) -> Option<Duration> {
    if let Some(seconds) = number(text.trim()) {
        return Some(Duration::from_secs(seconds));
    }
    let date = httpdate::parse_http_date(text).ok()?;
    Some(date.duration_since(SystemTime::now()).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_to_wait_are_read() {
        assert_eq!(wanted("120"), Some(Duration::from_secs(120)));
        assert_eq!(wanted("Fri, 31 Dec 1999 23:59:59 GMT"), Some(Duration::ZERO));
        let hour = SystemTime::now() + Duration::from_hours(1);
        let wait = wanted(&httpdate::fmt_http_date(hour)).unwrap();
        assert!((Duration::from_mins(59)..=Duration::from_hours(1)).contains(&wait));
        for bad in ["", "-1", "soon", "1.5", "99999999999999999999"] {
            assert_eq!(wanted(bad), None, "{bad}");
        }
    }
}
