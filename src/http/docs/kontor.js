// What the explorer does beside Swagger UI: it keeps the sign-in, and sends the two headers that people forget.
(function () {
  "use strict";

  // The key under which a command was last sent, by method and path: the same request sent again gets the same key and
  // so the first answer; a changed body is another command and gets a new one.
  const sent = new Map();
  // The newest entity tag seen for a path.
  const tags = new Map();
  const note = document.getElementById("kontor-note");

  function freshKey() {
    const bytes = crypto.getRandomValues(new Uint8Array(16));
    return "explorer-" + Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  }

  function path(url) {
    return new URL(url, window.location.href).pathname;
  }

  function header(headers, name) {
    const wanted = name.toLowerCase();
    const found = Object.keys(headers || {}).find((known) => known.toLowerCase() === wanted);
    return found === undefined ? undefined : headers[found];
  }

  function setHeader(headers, name, value) {
    const wanted = name.toLowerCase();
    Object.keys(headers).filter((known) => known.toLowerCase() === wanted).forEach((known) => delete headers[known]);
    headers[name] = value;
  }

  function bodyText(body) {
    return typeof body === "string" ? body : JSON.stringify(body === undefined ? null : body);
  }

  // Gives the request the key of its last identical sending, else a new one. A key typed by hand stays as it is.
  function idempotencyKey(request) {
    const typed = header(request.headers, "Idempotency-Key");
    if (typed) {
      return typed;
    }
    const place = request.method + " " + path(request.url);
    const body = bodyText(request.body);
    const last = sent.get(place);
    const key = last && last.body === body ? last.key : freshKey();
    sent.set(place, { body: body, key: key });
    return key;
  }

  function requestInterceptor(request) {
    if (request.loadSpec) {
      return request;
    }
    request.headers = request.headers || {};
    const method = (request.method || "GET").toUpperCase();
    if (method === "POST") {
      setHeader(request.headers, "Idempotency-Key", idempotencyKey(request));
    }
    if (["PUT", "PATCH", "DELETE"].includes(method) && !header(request.headers, "If-Match")) {
      const tag = tags.get(path(request.url));
      if (tag) {
        setHeader(request.headers, "If-Match", tag);
      }
    }
    return request;
  }

  function responseInterceptor(response) {
    const etag = header(response.headers, "ETag");
    if (etag && response.ok) {
      tags.set(path(response.url), etag);
      const made = header(response.headers, "Location");
      if (made) {
        tags.set(path(made), etag);
      }
    } else if (response.status === 412) {
      // What is known is stale: read it again first.
      tags.delete(path(response.url));
    }
    if (!/\/openapi\//.test(response.url)) {
      tell(response);
    }
    return response;
  }

  function tell(response) {
    const replayed = header(response.headers, "Idempotency-Replayed") === "true";
    const parts = [];
    if (replayed) {
      parts.push("<strong>Idempotency-Replayed: true</strong> — this is the first answer again; nothing was done twice.");
    } else {
      parts.push("<strong>" + Number(response.status) + "</strong> a fresh answer.");
    }
    const id = header(response.headers, "X-Request-Id");
    note.dataset.replayed = String(replayed);
    note.innerHTML = parts.join(" ");
    if (id) {
      const shown = document.createElement("code");
      shown.textContent = id;
      note.append(" Request ", shown, ".");
    }
  }

  window.kontor = { requestInterceptor: requestInterceptor, responseInterceptor: responseInterceptor };
  window.ui = SwaggerUIBundle({
    urls: [
      { name: "ops: operations staff", url: "/openapi/ops.json" },
      { name: "store: storefront", url: "/openapi/store.json" },
      { name: "integration: ERP, CRM, WMS", url: "/openapi/integration.json" },
    ],
    dom_id: "#swagger-ui",
    deepLinking: true,
    displayRequestDuration: true,
    docExpansion: "list",
    filter: true,
    persistAuthorization: true,
    showExtensions: false,
    tryItOutEnabled: true,
    validatorUrl: null,
    requestInterceptor: requestInterceptor,
    responseInterceptor: responseInterceptor,
    presets: [SwaggerUIBundle.presets.apis, SwaggerUIStandalonePreset],
    layout: "StandaloneLayout",
  });
})();
