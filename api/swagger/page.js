// This script is a file because the page's Content-Security-Policy allows no inline script.
SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  displayRequestDuration: true,
  defaultModelsExpandDepth: 0,
  validatorUrl: null, // the badge would send this document to another site
});

// the style sheet of Swagger UI has a dark scheme, but its switch is in a bar that this page lacks
const dark = matchMedia("(prefers-color-scheme: dark)");
const paint = () => document.documentElement.classList.toggle("dark-mode", dark.matches);
dark.addEventListener("change", paint);
paint();
