//! The explorer at `/docs`: Swagger UI, served from the program itself, so that it works offline.

use actix_web::{HttpResponse, get, web};

use crate::error::{Code, Error, Result};

const INDEX: &str = include_str!("docs/index.html");
const ERRORS: &str = include_str!("docs/errors.html");
const SCRIPT: &str = include_str!("docs/kontor.js");

#[get("/docs")]
async fn without_slash() -> HttpResponse {
    HttpResponse::MovedPermanently().insert_header(("Location", "/docs/")).finish()
}

/// The table of the error codes: where a problem's `type` leads.
fn errors() -> String {
    let row = |code: &Code| {
        let (word, status) = (code.as_str(), code.status());
        let texts = format!("<td>{}</td><td>{}</td>", escape(code.title()), escape(code.advice()));
        format!("<tr id=\"{word}\"><td><code>{word}</code></td><td>{status}</td>{texts}</tr>\n")
    };
    ERRORS.replace("<!-- rows -->", &Code::ALL.iter().map(row).collect::<String>())
}

fn escape(text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    text.split('`')
        .enumerate()
        .map(|(nth, part)| if nth % 2 == 1 { format!("<code>{part}</code>") } else { part.to_owned() })
        .collect()
}

#[get("/docs/{file:.*}")]
async fn file(path: web::Path<String>) -> Result<HttpResponse> {
    match path.as_str() {
        "" | "index.html" => return Ok(HttpResponse::Ok().content_type("text/html; charset=utf-8").body(INDEX)),
        "errors" => return Ok(HttpResponse::Ok().content_type("text/html; charset=utf-8").body(errors())),
        "kontor.js" => return Ok(HttpResponse::Ok().content_type("text/javascript; charset=utf-8").body(SCRIPT)),
        _ => {}
    }
    let config = std::sync::Arc::new(utoipa_swagger_ui::Config::from("/openapi/store.json"));
    let found = utoipa_swagger_ui::serve(&path, config).map_err(Error::internal)?;
    let found = found.ok_or_else(|| Error::problem(Code::RouteNotFound, "there is no such file"))?;
    Ok(HttpResponse::Ok()
        .content_type(found.content_type)
        .insert_header(("Cache-Control", "max-age=86400"))
        .body(found.bytes))
}

/// The routes of the explorer.
pub fn routes(config: &mut web::ServiceConfig) {
    config.service(without_slash).service(file);
}
