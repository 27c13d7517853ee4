// Shows what /openapi.json says; no other host is asked whether it is valid.
SwaggerUIBundle({ url: "/openapi.json", dom_id: "#docs", deepLinking: true, validatorUrl: null });
