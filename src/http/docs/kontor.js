// What the explorer does beside Swagger UI: it keeps the sign-in, and sends the two headers that people forget.
(function () {
  "use strict";

  // The key under which a command was last sent, by method and path: the same request sent again gets the same key and
  // so the first answer; a changed body is another command and gets a new one.
  const sent = new Map();
  // The newest entity tag seen for a path.
  const tags = new Map();
  // The operations that look at If-Match, as the documents tell: each a method and what its paths look like.
  const guarded = [];
  // How a path was last asked: an answer does not say.
  const asked = new Map();
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

  // Reads from a document which operations look at If-Match.
  function learn(specification) {
    for (const [template, item] of Object.entries((specification || {}).paths || {})) {
      const pattern = new RegExp("^" + template.replace(/\./g, "\\.").replace(/\{[^}]*\}/g, "[^/]+") + "$");
      for (const [method, operation] of Object.entries(item)) {
        if ((operation.parameters || []).some((one) => one.in === "header" && one.name === "If-Match")) {
          guarded.push({ method: method.toUpperCase(), pattern: pattern });
        }
      }
    }
  }

  // A path, the path above it, and so on: lines and addresses are parts of what has the version.
  function upwards(place) {
    const steps = place.split("/");
    return steps.map((_, above) => steps.slice(0, steps.length - above).join("/")).filter((one) => one !== "");
  }

  function knownTag(place) {
    return upwards(place).map((one) => tags.get(one)).find((tag) => tag !== undefined);
  }

  function forget(places) {
    places.forEach((one) => tags.delete(one));
  }

  // Whose version an answer's entity tag is: what was made, else the step of the path whose id is answered (a line's answer is
  // its cart), else what was asked.
  function owner(response, place) {
    const made = header(response.headers, "Location");
    if (made) {
      return path(made);
    }
    const steps = place.split("/");
    const own = response.obj ? steps.indexOf(response.obj.id) : -1;
    return own < 0 ? place : steps.slice(0, own + 1).join("/");
  }

  // Keeps in mind what an answer tells of versions. What a change may have touched, above and below it, is not known any more.
  function remember(response) {
    const place = path(response.url);
    const etag = header(response.headers, "ETag");
    if (response.status === 412) {
      // What is known is stale: read it again first.
      forget(upwards(place));
    } else if (response.ok) {
      if (asked.get(place) !== "GET") {
        forget(upwards(place));
        forget(Array.from(tags.keys()).filter((one) => one.startsWith(place + "/")));
      }
      if (etag) {
        tags.set(owner(response, place), etag);
      }
    }
  }

  function requestInterceptor(request) {
    if (request.loadSpec) {
      return request;
    }
    request.headers = request.headers || {};
    const method = (request.method || "GET").toUpperCase();
    const place = path(request.url);
    asked.set(place, method);
    if (method === "POST") {
      setHeader(request.headers, "Idempotency-Key", idempotencyKey(request));
    }
    if (guarded.some((one) => one.method === method && one.pattern.test(place)) && !header(request.headers, "If-Match")) {
      const tag = knownTag(place);
      if (tag) {
        setHeader(request.headers, "If-Match", tag);
      }
    }
    return request;
  }

  function responseInterceptor(response) {
    if (/\/openapi\//.test(response.url)) {
      learn(response.obj);
      return response;
    }
    remember(response);
    tell(response);
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
