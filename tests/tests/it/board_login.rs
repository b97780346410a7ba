//! Goal: where everybody says who they are, people log in at the board, and each sees and does what their role lets them; and a
//! page that lies in the bucket does nothing in their name.

use anyhow::Context as _;
use atelier_proto::v1;
use atelier_tests::browser::Browser;
use atelier_tests::cluster::Cluster;
use atelier_tests::identity::{Caller, end, small_grid};
use atelier_tests::tools;
use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};

/// A coordinator that asks who calls, and callers of it.
struct Place {
    cluster: Cluster,
    operator: Caller,
    ann: Caller,
    bob: Caller,
    reader: Caller,
    node: Caller,
    http: reqwest::Client,
}

impl Place {
    async fn new() -> anyhow::Result<Self> {
        let cluster = Cluster::coordinator_with(&["--identity", "required"]).await?;
        let url = &cluster.grpc;
        let data = cluster.folder.path().join("data");
        let operator = Caller::operator(url, &data).await?;
        let with = async |name: &str, role| {
            Ok::<_, anyhow::Error>(operator.new_token(url, name, role).await?.0)
        };
        Ok(Self {
            ann: with("ann", v1::Role::Client).await?,
            bob: with("bob", v1::Role::Client).await?,
            reader: with("eve", v1::Role::ReadOnly).await?,
            node: with("studio-1", v1::Role::Node).await?,
            // A browser of one's own, which is led nowhere.
            http: reqwest::Client::builder()
                .no_proxy()
                .redirect(reqwest::redirect::Policy::none())
                .build()?,
            operator,
            cluster,
        })
    }

    async fn ask(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<Value>,
    ) -> anyhow::Result<Response> {
        let mut request = self
            .http
            .request(method, format!("{}{path}", self.cluster.board));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(body) = body {
            request = request
                .header("content-type", "application/json")
                .body(body.to_string());
        }
        Ok(request.send().await?)
    }

    /// Logs somebody in; the cookie as it is sent back, and as it was set.
    async fn log_in(&self, token: &str) -> anyhow::Result<Result<(String, String), StatusCode>> {
        let answer = self
            .ask(
                Method::POST,
                "/api/session",
                &[],
                Some(json!({"token": token})),
            )
            .await?;
        if !answer.status().is_success() {
            return Ok(Err(answer.status()));
        }
        let set = answer.headers()["set-cookie"].to_str()?.to_owned();
        let cookie = set.split(';').next().context("no cookie")?.to_owned();
        Ok(Ok((cookie, set)))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_shown_before_somebody_has_logged_in_and_each_sees_what_is_theirs()
-> anyhow::Result<()> {
    let place = Place::new().await?;
    let bucket = place.operator.bucket().await?;
    let submitted = place
        .ann
        .grids()
        .submit(small_grid(&bucket, "of ann").await?)
        .await?;
    let grid = submitted.into_inner().grid_id;
    // Nobody writes into its gallery any more.
    end(&place.ann, &grid).await?;
    let gallery = format!("/grids/{grid}/");
    let page = format!("grids/{grid}/index.html");
    bucket
        .put(&page, "<h1>a gallery</h1>".into(), "text/html", None)
        .await?;

    // Only what shows nothing of anybody, and how the coordinator is.
    for path in ["/", "/submit", "/login", "/board.js", "/healthz", "/readyz"] {
        assert_eq!(
            place.ask(Method::GET, path, &[], None).await?.status(),
            200,
            "{path}"
        );
    }
    for path in [
        "/events",
        "/metrics",
        "/api/session",
        &gallery,
        &format!("{gallery}live"),
        &format!("{gallery}live/events"),
    ] {
        assert_eq!(
            place.ask(Method::GET, path, &[], None).await?.status(),
            401,
            "{path}"
        );
        let wrong = [("authorization", "Bearer nonsense")];
        assert_eq!(
            place.ask(Method::GET, path, &wrong, None).await?.status(),
            401,
            "{path}"
        );
    }
    let page = [("accept", "text/html,*/*")];
    let led = place.ask(Method::GET, &gallery, &page, None).await?;
    assert_eq!(led.status(), 303);
    assert_eq!(
        led.headers()["location"].to_str()?,
        format!("/login?to=%2Fgrids%2F{grid}%2F")
    );

    for wrong in ["nonsense", ""] {
        assert_eq!(place.log_in(wrong).await?, Err(StatusCode::UNAUTHORIZED));
    }
    assert_eq!(
        place.log_in(&place.node.token).await?,
        Err(StatusCode::FORBIDDEN)
    );
    let elsewhere = [("origin", "http://evil.example")];
    let token = Some(json!({"token": place.ann.token}));
    let refused = place
        .ask(Method::POST, "/api/session", &elsewhere, token)
        .await?;
    assert_eq!(refused.status(), 403);

    let (ann, set) = place
        .log_in(&place.ann.token)
        .await?
        .map_err(|code| anyhow::anyhow!("{code}"))?;
    assert!(
        set.contains("HttpOnly") && set.contains("SameSite=Strict") && set.contains("Path=/"),
        "{set}"
    );
    assert!(!set.contains(&place.ann.token), "{set}");
    // What ends TLS in front of it says so.
    let forwarded = [("x-forwarded-proto", "https")];
    let token = Some(json!({"token": place.ann.token}));
    let secure = place
        .ask(Method::POST, "/api/session", &forwarded, token)
        .await?;
    assert!(
        secure.headers()["set-cookie"]
            .to_str()?
            .ends_with("; Secure")
    );
    let (bob, _) = place
        .log_in(&place.bob.token)
        .await?
        .map_err(|code| anyhow::anyhow!("{code}"))?;
    let (reader, _) = place
        .log_in(&place.reader.token)
        .await?
        .map_err(|code| anyhow::anyhow!("{code}"))?;
    let (operator, _) = place
        .log_in(&place.operator.token)
        .await?
        .map_err(|code| anyhow::anyhow!("{code}"))?;

    let who = place
        .ask(Method::GET, "/api/session", &[("cookie", &ann)], None)
        .await?;
    let who: Value = serde_json::from_str(&who.text().await?)?;
    let told = json!({"named": true, "name": "ann", "role": "client", "may_submit": true, "may_steer": false, "may_name": false});
    assert_eq!(who, told);
    let nowhere = "/api/nodes/0190b7a8-5f6e-7c3d-8a2b-1c0d9e8f7a6b";
    let active = || Some(json!({"state": "active"}));
    let metrics = "/metrics";
    // Whose gallery it is sees it, so do those who see all, and each does what they may.
    for (cookie, sees, counts, submits, steers) in [
        (&ann, true, false, true, false),
        (&bob, false, false, true, false),
        (&reader, true, true, false, false),
        (&operator, true, true, true, true),
    ] {
        let cookie = [("cookie", cookie.as_str())];
        let status = async |method, path: &str, body| {
            Ok::<_, anyhow::Error>(
                place
                    .ask(method, path, &cookie, body)
                    .await?
                    .status()
                    .as_u16(),
            )
        };
        let expected = if sees { 200 } else { 404 };
        for path in [
            &gallery,
            &format!("{gallery}index.html"),
            &format!("{gallery}live"),
        ] {
            assert_eq!(
                status(Method::GET, path, None).await?,
                expected,
                "{cookie:?} {path}"
            );
        }
        assert_eq!(
            status(Method::GET, metrics, None).await? == 200,
            counts,
            "{cookie:?}"
        );
        let submitted = status(Method::POST, "/api/estimate", Some(json!({}))).await?;
        assert_eq!(submitted, if submits { 422 } else { 403 }, "{cookie:?}");
        let steered = status(Method::POST, nowhere, active()).await?;
        assert_eq!(steered, if steers { 404 } else { 403 }, "{cookie:?}");
    }
    let mut events = place
        .ask(Method::GET, "/events", &[("cookie", &bob)], None)
        .await?;
    let first = String::from_utf8(events.chunk().await?.context("no event")?.to_vec())?;
    assert!(first.contains("\"grids\":[]"), "{first}");
    let mut events = place
        .ask(Method::GET, "/events", &[("cookie", &ann)], None)
        .await?;
    let first = String::from_utf8(events.chunk().await?.context("no event")?.to_vec())?;
    assert!(first.contains("of ann"), "{first}");
    // As Prometheus asks.
    let bearer = format!("Bearer {}", place.reader.token);
    let told = place
        .ask(Method::GET, metrics, &[("authorization", &bearer)], None)
        .await?;
    assert!(told.text().await?.contains("atelier_"));

    // A cookie from elsewhere, and one that was logged out.
    let stolen = [("cookie", ann.as_str()), ("origin", "http://evil.example")];
    assert_eq!(
        place
            .ask(Method::POST, "/api/estimate", &stolen, Some(json!({})))
            .await?
            .status(),
        403
    );
    let gone = place
        .ask(Method::DELETE, "/api/session", &[("cookie", &ann)], None)
        .await?;
    assert!(gone.headers()["set-cookie"].to_str()?.contains("Max-Age=0"));
    assert_eq!(
        place
            .ask(Method::GET, &gallery, &[("cookie", &ann)], None)
            .await?
            .status(),
        401
    );
    Ok(())
}

async fn value_of(browser: &mut Browser, script: &str) -> anyhow::Result<Value> {
    browser
        .value(&format!("(async () => {{ {script} }})()"))
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn people_log_in_with_a_browser_and_a_page_of_the_bucket_cannot_act_for_them()
-> anyhow::Result<()> {
    let Some(chromium) = tools::chromium() else {
        return Ok(());
    };
    let place = Place::new().await?;
    let bucket = place.operator.bucket().await?;
    let submitted = place
        .ann
        .grids()
        .submit(small_grid(&bucket, "of ann").await?)
        .await?;
    let grid = submitted.into_inner().grid_id;
    // Nobody writes into its gallery any more.
    end(&place.ann, &grid).await?;
    let gallery = format!("{}/grids/{grid}/", place.cluster.board);
    let evil = "<!doctype html><title>gallery</title><form id=f method=post action=/api/session></form><script>window.ran = true</script>";
    bucket
        .put(
            &format!("grids/{grid}/index.html"),
            evil.into(),
            "text/html",
            None,
        )
        .await?;
    bucket
        .put(
            &format!("grids/{grid}/gallery.json"),
            "{}".into(),
            "application/json",
            None,
        )
        .await?;

    let mut browser = Browser::start(&chromium, 1200, 800).await?;
    browser.go(&place.cluster.board).await?;
    browser.until("location.pathname === '/login'").await?;
    browser.is_accessible().await?;
    let fill = |token: &str| {
        format!(
            "document.querySelector('#token').value = {token:?}; \
             setTimeout(() => document.querySelector('form button').click())"
        )
    };
    browser.value(&fill("nonsense")).await?;
    browser
        .until("document.querySelector('#wrong')?.textContent.includes('not known here')")
        .await?;
    browser.is_accessible().await?;
    browser.value(&fill(&place.ann.token)).await?;
    browser
        .until("location.pathname === '/' && document.querySelector('#session')?.textContent.includes('ann (client)')")
        .await?;
    browser
        .until("document.querySelector('#grids')?.textContent.includes('of ann')")
        .await?;
    assert_eq!(browser.value("document.cookie").await?, json!(""));
    assert_eq!(
        browser
            .value("sessionStorage.length + localStorage.length")
            .await?,
        json!(0)
    );
    browser.is_accessible().await?;

    browser.go(&gallery).await?;
    browser.until("window.ran === true").await?;
    // It reads what lies beside it, and nothing else, by whatever way.
    let own = "return (await fetch('gallery.json')).status";
    assert_eq!(value_of(&mut browser, own).await?, json!(200));
    for attempt in [
        "return (await fetch('/api/session')).status",
        "return (await fetch('/api/estimate', {method: 'POST', body: '{}'})).status",
        "return (await fetch('/events')).status",
        "const it = window.open('/'); return it.document.title",
        "const it = document.createElement('iframe'); it.src = '/'; document.body.append(it); \
         await new Promise((done) => setTimeout(done, 500)); return it.contentDocument.querySelector('#grids').id",
        "const it = new EventSource('/events'); return await new Promise((done, fail) => { it.onmessage = done; it.onerror = fail; })",
        "return String(await navigator.serviceWorker.register('/board.js'))",
    ] {
        let got = value_of(&mut browser, attempt).await;
        assert!(got.is_err(), "{attempt}: {got:?}");
    }
    browser
        .value("document.getElementById('f').submit()")
        .await?;
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    assert_eq!(browser.value("location.href").await?, json!(gallery));

    // Logged out, nothing is seen any more.
    browser.go(&place.cluster.board).await?;
    browser
        .until("!!document.querySelector('#session button')")
        .await?;
    browser
        .value("document.querySelector('#session button').click()")
        .await?;
    browser.until("location.pathname === '/login'").await?;
    browser.go(&gallery).await?;
    browser.until("location.pathname === '/login'").await?;
    Ok(())
}
