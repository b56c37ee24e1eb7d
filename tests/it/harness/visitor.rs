//! A browser without a window: it logs in, keeps its cookie and sends forms.
use reqwest::redirect::Policy;
use reqwest::{Client, RequestBuilder, Response, StatusCode};

use super::TestApp;

/// Keeps at most the cookie of a session.
pub struct Visitor {
    pub url: String,
    client: Client,
    pub cookie: Option<String>,
}

impl Visitor {
    pub fn of(app: &TestApp) -> Self {
        Self::at(&app.url)
    }

    pub fn at(url: &str) -> Self {
        let client = Client::builder().no_proxy().redirect(Policy::none()).build().expect("a client");
        Self { url: url.to_owned(), client, cookie: None }
    }

    /// Logged in with a key.
    pub async fn with_key(app: &TestApp, key: &str) -> Self {
        let mut visitor = Self::of(app);
        let response = visitor.log_in(key, "/").await;
        assert_eq!(response.status(), StatusCode::SEE_OTHER);
        visitor
    }

    pub async fn log_in(&mut self, key: &str, next: &str) -> Response {
        let response = self.post("/login", &[("key", key), ("next", next)], &[]).await;
        self.keep_cookie(&response);
        response
    }

    pub fn keep_cookie(&mut self, response: &Response) {
        let Some(set) = response.headers().get("set-cookie") else { return };
        let cookie = set.to_str().expect("text").split(';').next().expect("a cookie").to_owned();
        self.cookie = if cookie.ends_with('=') { None } else { Some(cookie) };
    }

    pub async fn get(&self, path: &str) -> Response {
        self.get_with(path, &[]).await
    }

    pub async fn get_with(&self, path: &str, headers: &[(&str, &str)]) -> Response {
        self.send(self.client.get(format!("{}{path}", self.url)), headers).await
    }

    /// Sends a form as our own page does.
    pub async fn post(&self, path: &str, fields: &[(&str, &str)], headers: &[(&str, &str)]) -> Response {
        let mut body = url::form_urlencoded::Serializer::new(String::new());
        body.extend_pairs(fields);
        let request = self.client.post(format!("{}{path}", self.url));
        let is_named = headers.iter().any(|(name, _)| *name == "content-type");
        let request =
            if is_named { request } else { request.header("content-type", "application/x-www-form-urlencoded") };
        let request = request.body(body.finish());
        self.send(request, headers).await
    }

    /// Sends a document of GraphQL as the editor does.
    pub async fn ask(&self, query: &str, headers: &[(&str, &str)]) -> Response {
        let request = self.client.post(format!("{}/graphql", self.url)).json(&serde_json::json!({ "query": query }));
        self.send(request, headers).await
    }

    async fn send(&self, request: RequestBuilder, headers: &[(&str, &str)]) -> Response {
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        let request = self.cookie.iter().fold(request, |request, cookie| request.header("cookie", cookie));
        request.send().await.expect("a response")
    }

    /// The token that the forms of a page carry.
    pub async fn form_token(&self, path: &str) -> String {
        let page = self.get(path).await.text().await.expect("a page");
        let token = page.split("name=\"token\" value=\"").nth(1).and_then(|rest| rest.split('"').next());
        token.unwrap_or_else(|| panic!("{path} has no form: {page}")).to_owned()
    }
}
