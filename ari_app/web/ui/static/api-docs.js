"use strict";
// The API's document, drawn by Swagger UI. What only reads can be tried with the page's own session; changes need a token.

// Without the parts around the operations: the page has a title, and its session is who asks.
const operationsOnly = ({ React }) => ({
  components: {
    OperationsOnly: ({ getComponent }) =>
      React.createElement("div", { className: "swagger-ui" }, React.createElement(getComponent("operations", true))),
  },
});

addEventListener("DOMContentLoaded", () => {
  const place = document.getElementById("api-docs");
  SwaggerUIBundle({
    url: place.dataset.document,
    domNode: place,
    plugins: [operationsOnly],
    layout: "OperationsOnly",
    supportedSubmitMethods: ["get"],
    defaultModelRendering: "example",
    validatorUrl: null, // a service of others'
  });
});
