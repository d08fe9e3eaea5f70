window.ui = SwaggerUIBundle({
  urls: [
    { name: "ops: operations staff", url: "/openapi/ops.json" },
    { name: "store: storefront", url: "/openapi/store.json" },
    { name: "integration: ERP, CRM, WMS", url: "/openapi/integration.json" },
  ],
  dom_id: "#swagger-ui",
  deepLinking: true,
  persistAuthorization: true,
  tryItOutEnabled: true,
  presets: [SwaggerUIBundle.presets.apis, SwaggerUIStandalonePreset],
  layout: "StandaloneLayout",
});
