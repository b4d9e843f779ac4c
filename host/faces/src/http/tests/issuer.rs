//! Tokens of an issuer: the test's own, on loopback.

use super::world::World;
use crate::http::{Authentication, Oidc};
use axum::routing::get;
use axum::{Json, Router};
use fusebox_core::role::Role;
use fusebox_engine::ports::clock::{Clock as _, SystemClock};
use fusebox_manifest::OidcSettings;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use rcgen::KeyPair;
use serde_json::{Value, json};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

struct Issuer {
    url: String,
    key: EncodingKey,
    published: Arc<Mutex<Vec<Value>>>,
    fetched: Arc<AtomicUsize>,
}

fn new_key() -> EncodingKey {
    EncodingKey::from_ec_pem(KeyPair::generate().unwrap().serialize_pem().as_bytes()).unwrap()
}

fn published(key: &EncodingKey, id: &str) -> Value {
    let mut jwk = Jwk::from_encoding_key(key, Algorithm::ES256).unwrap();
    jwk.common.key_id = Some(id.to_owned());
    json!(jwk)
}

impl Issuer {
    async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let key = new_key();
        // Of a kind that nobody knows; for a shared secret; the one that signs.
        let shared = json!({ "kty": "oct", "kid": "shared", "k": "c2VjcmV0", "alg": "HS256" });
        let keys = vec![json!({ "kty": "new", "kid": "new" }), shared, published(&key, "one")];
        let published = Arc::new(Mutex::new(keys));
        let fetched = Arc::new(AtomicUsize::new(0));
        let description = json!({ "issuer": url, "jwks_uri": format!("{url}/keys"), "more": true });
        let (keys, count) = (Arc::clone(&published), Arc::clone(&fetched));
        let router = Router::new()
            .route(
                "/.well-known/openid-configuration",
                get(|| async move { Json(description) }),
            )
            .route(
                "/keys",
                get(move || {
                    count.fetch_add(1, Ordering::SeqCst);
                    let keys = keys.lock().unwrap().clone();
                    async move { Json(json!({ "keys": keys })) }
                }),
            );
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self {
            url,
            key,
            published,
            fetched,
        }
    }

    fn settings(&self) -> OidcSettings {
        OidcSettings {
            issuer: self.url.clone(),
            audience: "fusebox".to_owned(),
            roles_claim: "realm_access.roles".to_owned(),
            tenant_claim: Some("tenant".to_owned()),
        }
    }

    async fn world(&self) -> World {
        let oidc = Oidc::new(self.settings(), Arc::new(SystemClock::new())).unwrap();
        let authentication = Authentication {
            open_loopback: None,
            oidc: Some(Arc::new(oidc)),
        };
        World::with(authentication, |_| {}).await
    }

    fn claims(&self) -> Value {
        json!({
            "iss": self.url, "aud": ["other", "fusebox"], "sub": "ann", "exp": now() + 300, "tenant": "default",
            "realm_access": { "roles": ["caller", "operator"] },
        })
    }

    fn token(&self, change: impl FnOnce(&mut Value)) -> String {
        let mut claims = self.claims();
        change(&mut claims);
        sign(&claims, &self.key, Algorithm::ES256, Some("one"))
    }
}

fn sign(claims: &Value, key: &EncodingKey, algorithm: Algorithm, id: Option<&str>) -> String {
    let header = Header {
        kid: id.map(str::to_owned),
        ..Header::new(algorithm)
    };
    encode(&header, claims, key).unwrap()
}

fn now() -> i64 {
    SystemClock::new().wall().0 / 1000
}

#[tokio::test]
async fn whoever_has_a_token_is_who_it_says() {
    let issuer = Issuer::start().await;
    let world = issuer.world().await;
    world.deploy_answer().await;
    let token = issuer.token(|_| {});
    let reply = world
        .post(&token, "/v1/tools/answer/functions/run/calls", "{}")
        .await
        .is(200)
        .json();
    let run = world
        .get(&token, &format!("/v1/runs/{}", reply["run"].as_str().unwrap()))
        .await
        .is(200)
        .json();
    assert_eq!(
        (&run["principal"], &run["tenant"]),
        (&json!("oidc:ann"), &json!("default"))
    );
    world.get(&token, "/metrics").await.is(200);
    let caller = issuer.token(|claims| claims["realm_access"]["roles"] = json!(["caller"]));
    world.get(&caller, "/metrics").await.problem(403, "denied");
    let other = issuer.token(|claims| claims["tenant"] = json!("other"));
    assert_eq!(world.get(&other, "/v1/tools").await.is(200).json()["items"], json!([]));
    assert_eq!(issuer.fetched.load(Ordering::SeqCst), 1, "keys are kept");
    // API keys open the host as before.
    let key = world.key_of(Role::Caller).await;
    world.get(&key, "/v1/tools").await.is(200);
}

#[tokio::test]
async fn a_token_that_is_not_for_this_host_and_now_opens_nothing() {
    let issuer = Issuer::start().await;
    let world = issuer.world().await;
    type Change = fn(&mut Value);
    let wrong: [(&str, Change); 8] = [
        ("expired", |claims| claims["exp"] = json!(now() - 120)),
        ("not yet", |claims| claims["nbf"] = json!(now() + 120)),
        ("of another issuer", |claims| {
            claims["iss"] = json!("https://evil.example")
        }),
        ("for another host", |claims| claims["aud"] = json!("other")),
        ("for nobody", |claims| {
            drop(claims.as_object_mut().unwrap().remove("aud"))
        }),
        ("for ever", |claims| drop(claims.as_object_mut().unwrap().remove("exp"))),
        ("about nobody", |claims| {
            drop(claims.as_object_mut().unwrap().remove("sub"))
        }),
        ("about a blank", |claims| claims["sub"] = json!("a b")),
    ];
    for (what, change) in wrong {
        let answer = world.get(&issuer.token(change), "/v1/tools").await;
        assert_eq!(answer.status, 401, "{what}: {}", answer.text);
    }
    let none = world
        .get(&issuer.token(|claims| claims["tenant"] = json!(7)), "/v1/tools")
        .await;
    none.problem(403, "denied");
    // A clock may be off by a little.
    world
        .get(&issuer.token(|claims| claims["exp"] = json!(now() - 30)), "/v1/tools")
        .await
        .is(200);
}

#[tokio::test]
async fn what_the_issuer_did_not_sign_opens_nothing() {
    let issuer = Issuer::start().await;
    let world = issuer.world().await;
    let claims = issuer.claims();
    let secret = EncodingKey::from_secret(b"secret");
    let (header, rest) = (r#"{"alg":"none"}"#, issuer.token(|_| {}));
    let body = rest.split('.').nth(1).unwrap().to_owned();
    let mut tampered = issuer.token(|_| {});
    tampered.truncate(tampered.len() - 4);
    tampered.push_str("AAAA");
    let forged = [
        sign(&claims, &new_key(), Algorithm::ES256, Some("one")),
        sign(&claims, &secret, Algorithm::HS256, Some("shared")),
        sign(&claims, &secret, Algorithm::HS256, Some("one")),
        format!("{}.{body}.", base64url(header)),
        tampered,
        "a.b.c".to_owned(),
    ];
    for token in forged {
        let answer = world.get(&token, "/v1/tools").await.problem(401, "unauthenticated");
        assert!(!answer.text.contains(&token), "a token is in no answer");
    }
}

/// Base64 without padding, as JWTs have it: the few bytes of a header.
fn base64url(text: &str) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut out = String::new();
    for chunk in text.as_bytes().chunks(3) {
        let bits = chunk.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for digit in 0..=chunk.len() {
            out.push(char::from(DIGITS[(bits >> (18 - 6 * digit)) as usize & 63]));
        }
    }
    out
}

#[tokio::test]
async fn a_key_that_is_new_is_fetched_and_tokens_of_no_key_do_not_make_it_fetch_again_and_again() {
    let issuer = Issuer::start().await;
    let world = issuer.world().await;
    // Fewer than make the door look up no more.
    for number in 0..10 {
        let unknown = sign(
            &issuer.claims(),
            &new_key(),
            Algorithm::ES256,
            Some(&format!("unknown-{number}")),
        );
        world.get(&unknown, "/v1/tools").await.problem(401, "unauthenticated");
    }
    assert_eq!(issuer.fetched.load(Ordering::SeqCst), 1);
    world.get(&issuer.token(|_| {}), "/v1/tools").await.is(200);
    issuer.published.lock().unwrap().clear();
    world.get(&issuer.token(|_| {}), "/v1/tools").await.is(200);
}

#[tokio::test]
async fn whoever_is_not_known_is_told_where_tokens_come_from() {
    let issuer = Issuer::start().await;
    let world = issuer.world().await;
    let refused = world.get("", "/v1/tools").await.problem(401, "unauthenticated");
    let told = refused.header("www-authenticate");
    let place = "http://127.0.0.1:7717/.well-known/oauth-protected-resource";
    assert!(told.contains(&format!("resource_metadata=\"{place}\"")), "{told}");
    let metadata = world
        .get("", "/.well-known/oauth-protected-resource")
        .await
        .is(200)
        .json();
    assert_eq!(metadata["authorization_servers"], json!([issuer.url]));
    assert_eq!(metadata["resource"], "http://127.0.0.1:7717");
    let of_mcp = world
        .get("", "/.well-known/oauth-protected-resource/mcp")
        .await
        .is(200)
        .json();
    assert_eq!(of_mcp["resource"], "http://127.0.0.1:7717/mcp");
}

#[tokio::test]
async fn an_issuer_that_is_away_is_no_reason_to_let_anybody_in() {
    let issuer = Issuer::start().await;
    let mut settings = issuer.settings();
    settings.issuer = "http://127.0.0.1:1".to_owned();
    let oidc = Oidc::new(settings, Arc::new(SystemClock::new())).unwrap();
    let authentication = Authentication {
        open_loopback: None,
        oidc: Some(Arc::new(oidc)),
    };
    let world = World::with(authentication, |_| {}).await;
    let refused = world
        .get(&issuer.token(|_| {}), "/v1/tools")
        .await
        .problem(503, "overloaded");
    assert_eq!(refused.header("retry-after"), "10");
}
