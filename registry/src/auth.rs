use ureq::http::Method;
use ureq::http::header::{CONTENT_TYPE, WWW_AUTHENTICATE};

use crate::client::{Client, Endpoint};
use crate::credentials::{Credential, basic};
use crate::target::{Target, encode};
use crate::tokens::Pass;
use crate::wire::{Ask, NamedBy, Payload, Response};
use crate::{Cause, Challenge, realm, refusal};

impl Client {
    /// Sends `ask` with what lets us in. If the registry asks who we are, it is told once.
    pub(crate) fn authorized(
        &mut self,
        endpoint: &Endpoint,
        mut ask: Ask,
        body: &[u8],
    ) -> Result<Response, Cause> {
        let payload = || if body.is_empty() { Payload::None } else { Payload::Bytes(body) };
        ask.authorization = self.authorization(endpoint)?;
        let response = self.wire.exchange(&ask, payload())?;
        if response.status != 401 {
            return Ok(response);
        }
        self.tokens.forget(&endpoint.origin(), &endpoint.scope);
        ask.authorization = Some(self.answer(endpoint, response)?);
        let response = self.wire.exchange(&ask, payload())?;
        if response.status == 401 {
            self.tokens.forget(&endpoint.origin(), &endpoint.scope);
        }
        Ok(response)
    }

    /// What lets us in, as far as it is known.
    pub(crate) fn authorization(&self, endpoint: &Endpoint) -> Result<Option<String>, Cause> {
        match self.tokens.find(&endpoint.origin(), &endpoint.scope) {
            Some(Pass::Bearer { token, .. }) => Ok(Some(format!("Bearer {token}"))),
            Some(Pass::Basic) => self.basic(endpoint).map(Some),
            None => Ok(None),
        }
    }

    /// Answers a 401; the value is good for one request at least.
    fn answer(&mut self, endpoint: &Endpoint, mut response: Response) -> Result<String, Cause> {
        if !response.target.is_same_origin(&endpoint.base) {
            return Err(Cause::Unauthorized("another host wants to know who we are".to_owned()));
        }
        let challenges = challenges(&response)?;
        response.drain(u64::from(self.settings.limits.error));
        let bearer = challenges.iter().find_map(|challenge| match challenge {
            Challenge::Bearer { realm, service } => Some((realm, service.as_deref())),
            Challenge::Basic => None,
        });
        let (pass, value) = match bearer {
            Some((realm, service)) => self.token(endpoint, realm, service)?,
            None if challenges.is_empty() => {
                return Err(Cause::Unauthorized("the registry does not say how".to_owned()));
            }
            None => (Pass::Basic, self.basic(endpoint)?),
        };
        self.tokens.keep(&endpoint.origin(), &endpoint.scope, pass);
        Ok(value)
    }

    fn basic(&self, endpoint: &Endpoint) -> Result<String, Cause> {
        match self.credential(endpoint) {
            Some(Credential::Password { user, password }) => Ok(basic(user, password)),
            _ => Err(Cause::Unauthorized(format!("no password is known for {}", endpoint.host))),
        }
    }

    fn credential(&self, endpoint: &Endpoint) -> Option<&Credential> {
        self.settings.credentials.find(&endpoint.host, &endpoint.repository)
    }

    /// Asks a token server, if it is one that may know us.
    fn token(
        &self,
        endpoint: &Endpoint,
        realm: &str,
        service: Option<&str>,
    ) -> Result<(Pass, String), Cause> {
        let refused = |cause: String| Cause::Unauthorized(format!("token server refused: {cause}"));
        let target = Target::parse(realm).map_err(refused)?;
        if !realm::is_trusted(&endpoint.base, &target) {
            return Err(refused(format!("{} is not {}'s", target.origin(), endpoint.host)));
        }
        let (ask, form) = self.token_request(endpoint, target, service);
        let payload = if form.is_empty() { Payload::None } else { Payload::Bytes(form.as_bytes()) };
        let limits = &self.settings.limits;
        let mut response = refusal::expect(self.wire.exchange(&ask, payload)?, &[200], limits)?;
        let bytes = response.read(u64::from(limits.token), "token server's answer")?;
        let pass = Pass::from_answer(&bytes)?;
        let value = match &pass {
            Pass::Bearer { token, .. } => format!("Bearer {token}"),
            Pass::Basic => String::new(),
        };
        Ok((pass, value))
    }

    /// A GET with a password or without, or an OAuth POST with an identity token
    /// ([specification](https://distribution.github.io/distribution/spec/auth/oauth/)), and its form. The
    /// scope is what is wanted here, whatever the registry's challenge says.
    fn token_request(
        &self,
        endpoint: &Endpoint,
        realm: Target,
        service: Option<&str>,
    ) -> (Ask, String) {
        let service = service.unwrap_or_default();
        let mut ask = self.ask(Method::GET, realm, u64::from(self.settings.limits.token));
        ask.named_by = NamedBy::Registry;
        if let Some(Credential::Identity(token)) = self.credential(endpoint) {
            ask.method = Method::POST;
            ask.headers.push((CONTENT_TYPE, "application/x-www-form-urlencoded".to_owned()));
            let [token, service, scope] = [token, service, endpoint.scope.as_str()].map(encode);
            let form = format!(
                "grant_type=refresh_token&client_id=pintle&refresh_token={token}&service={service}&scope={scope}"
            );
            return (ask, form);
        }
        if !service.is_empty() {
            ask.target = ask.target.with_query("service", service);
        }
        ask.target = ask.target.with_query("scope", &endpoint.scope);
        ask.authorization = self.basic(endpoint).ok();
        (ask, String::new())
    }
}

fn challenges(response: &Response) -> Result<Vec<Challenge>, Cause> {
    let refused = |cause: &str| Cause::Unauthorized(format!("challenge refused: {cause}"));
    let mut found = Vec::new();
    for value in response.headers.get_all(WWW_AUTHENTICATE) {
        let text = value.to_str().map_err(|_| refused("not text"))?;
        found.extend(Challenge::parse(text).map_err(refused)?);
    }
    Ok(found)
}
