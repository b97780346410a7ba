//! Against an issuer that is served, and time that is moved by hand.

use std::time::Duration;

use atelier_tests::issuer::Issuer;
use serde_json::json;

use super::*;

const NOW: i64 = 1_800_000_000;

struct Company {
    issuer: Issuer,
    clock: Clock,
    oidc: Oidc,
}

impl Company {
    async fn with(algorithm: Algorithm) -> Self {
        let issuer = Issuer::start(algorithm).await.unwrap();
        let clock = Clock::manual(Timestamp::from_second(NOW).unwrap());
        let config = OidcConfig {
            issuer: issuer.url.clone(),
            audience: "atelier".to_owned(),
            role_claim: "atelier_role".to_owned(),
            name_claim: "email".to_owned(),
            default_role: None,
        };
        let oidc = Oidc::new(config, clock.clone()).unwrap();
        Self {
            issuer,
            clock,
            oidc,
        }
    }

    /// Who holds a token with these claims in place of the usual ones.
    async fn holder(&self, others: Value) -> Result<Identity, OidcError> {
        let token = self.issuer.sign(&self.issuer.claims(NOW, others)).unwrap();
        self.show(&token).await
    }

    async fn show(&self, token: &str) -> Result<Identity, OidcError> {
        let holder = self.oidc.holder(token, self.clock.now()).await;
        holder.map(|(identity, _)| identity)
    }
}

#[tokio::test]
async fn each_signature_that_counts_lets_its_holder_in() {
    for algorithm in ALGORITHMS {
        let company = Company::with(algorithm).await;
        let ann = company.holder(json!({})).await.unwrap();
        assert_eq!(
            (ann.name.as_str(), ann.role),
            ("ann@example.com", Role::Client)
        );
        let several = json!({"aud": ["other", "atelier"]});
        assert!(company.holder(several).await.is_ok());
        let token = company
            .issuer
            .sign(&company.issuer.claims(NOW, json!({})))
            .unwrap();
        let (_, until) = company
            .oidc
            .holder(&token, company.clock.now())
            .await
            .unwrap();
        assert_eq!(until.as_second(), NOW + 3600 + 60);
    }
}

#[tokio::test]
async fn what_is_for_somebody_else_or_over_lets_nobody_in() {
    let company = Company::with(Algorithm::ES256).await;
    for (others, said) in [
        (json!({"aud": "another"}), "for another audience"),
        (json!({"aud": null}), "lacks one of the claims"),
        (json!({"iss": "https://evil.example"}), "of another issuer"),
        (json!({"iss": null}), "lacks one of the claims"),
        (json!({"sub": null}), "lacks one of the claims"),
        (json!({"exp": null}), "lacks one of the claims"),
        (json!({"exp": NOW - 61}), "expired"),
        (json!({"nbf": NOW + 61}), "is good from"),
        (json!({"atelier_role": null}), "is missing"),
        (json!({"atelier_role": "king"}), "says \"king\""),
        (json!({"email_verified": false}), "not verified"),
    ] {
        let refused = company
            .holder(others.clone())
            .await
            .unwrap_err()
            .to_string();
        assert!(refused.contains(said), "{others}: {refused}");
    }
    assert!(company.holder(json!({"exp": NOW - 59})).await.is_ok());
    assert!(company.holder(json!({"nbf": NOW + 59})).await.is_ok());
}

#[tokio::test]
async fn nobody_forges_a_token_with_what_is_published() {
    for algorithm in [Algorithm::RS256, Algorithm::ES256] {
        let company = Company::with(algorithm).await;
        let claims = company
            .issuer
            .claims(NOW, json!({"atelier_role": "operator"}));
        for forged in ["HS256", "none", "None", "HS384"] {
            let token = company.issuer.forge(&claims, forged).unwrap();
            let refused = company.show(&token).await.unwrap_err().to_string();
            assert!(
                refused.contains("not signed in a way that counts"),
                "{forged}: {refused}"
            );
        }
        let unsigned = company
            .issuer
            .forge(&claims, &format!("{algorithm:?}"))
            .unwrap();
        assert!(company.show(&unsigned).await.is_err());
        // Signed well, by somebody else, under the name of this one's key.
        let other = Issuer::start(algorithm).await.unwrap();
        let refused = company
            .show(&other.sign(&claims).unwrap())
            .await
            .unwrap_err()
            .to_string();
        assert!(refused.contains("signature is wrong"), "{refused}");
        // What was signed is not what stands there.
        let token = company
            .issuer
            .sign(&company.issuer.claims(NOW, json!({})))
            .unwrap();
        let parts: Vec<&str> = token.split('.').collect();
        let forged = unsigned.split('.').nth(1).unwrap();
        let mixed = format!("{}.{forged}.{}", parts[0], parts[2]);
        assert!(company.show(&mixed).await.is_err());
        for damaged in ["", "a.b.c", "..", &token[..token.len() - 9]] {
            assert!(company.show(damaged).await.is_err(), "{damaged}");
        }
    }
}

#[tokio::test]
async fn a_new_key_is_fetched_when_it_is_first_seen_and_not_more_often_than_once_in_a_while() {
    let company = Company::with(Algorithm::RS256).await;
    company.holder(json!({})).await.unwrap();
    company.holder(json!({})).await.unwrap();
    assert_eq!(company.issuer.fetches(), 1);
    let before = company
        .issuer
        .sign(&company.issuer.claims(NOW, json!({})))
        .unwrap();
    company.issuer.rotate("second", Algorithm::ES256).unwrap();
    // Whoever asks at once with keys that are not known makes nobody ask the issuer.
    for _ in 0..20 {
        let refused = company.holder(json!({})).await.unwrap_err().to_string();
        assert!(refused.contains("does not publish"), "{refused}");
    }
    assert_eq!(company.issuer.fetches(), 1);
    company.clock.advance(Duration::from_secs(10));
    company.holder(json!({})).await.unwrap();
    assert_eq!(company.issuer.fetches(), 2);
    let refused = company.show(&before).await.unwrap_err().to_string();
    assert!(refused.contains("does not publish"), "{refused}");
}

#[tokio::test]
async fn the_last_keys_count_while_the_issuer_is_away() {
    let company = Company::with(Algorithm::EdDSA).await;
    company.issuer.be_away(true);
    let refused = company.holder(json!({})).await.unwrap_err();
    assert!(matches!(refused, OidcError::Keys { .. }), "{refused}");
    assert!(refused.to_string().contains("502"), "{refused}");
    company.issuer.be_away(false);
    company.clock.advance(Duration::from_secs(10));
    company.holder(json!({})).await.unwrap();
    company.issuer.be_away(true);
    company.clock.advance(Duration::from_mins(11));
    company.holder(json!({})).await.unwrap();
    // The keys are old, so they were asked for beside it, in vain.
    tokio::time::sleep(Duration::from_millis(200)).await;
    company.holder(json!({})).await.unwrap();
}

#[tokio::test]
async fn an_issuer_that_calls_itself_otherwise_is_not_believed() {
    let issuer = Issuer::start(Algorithm::ES256).await.unwrap();
    let clock = Clock::manual(Timestamp::from_second(NOW).unwrap());
    let config = OidcConfig {
        issuer: format!("{}/", issuer.url),
        audience: "atelier".to_owned(),
        role_claim: "atelier_role".to_owned(),
        name_claim: "email".to_owned(),
        default_role: None,
    };
    let oidc = Oidc::new(config, clock.clone()).unwrap();
    let token = issuer.sign(&issuer.claims(NOW, json!({}))).unwrap();
    let refused = oidc
        .holder(&token, clock.now())
        .await
        .unwrap_err()
        .to_string();
    assert!(refused.contains("calls itself"), "{refused}");
}
