// Builds the dashboard into dist/, which the program embeds. Names carry no hash: the server sends
// an ETag for each file, and the same sources give the same bytes on every machine.
import { readdirSync, readFileSync } from "node:fs";
import { defineConfig } from "vite";

/** What ships inside the built files. Its licences are delivered beside them. */
const SHIPPED = ["es6-promise", "mpegts.js", "preact", "webworkify-webpack"];

const MOCK = process.env.MOCK ?? "http://127.0.0.1:8080";

export default defineConfig({
  base: "/",
  esbuild: { jsx: "automatic", jsxImportSource: "preact", legalComments: "none" },
  build: {
    target: "es2022",
    cssTarget: "chrome123",
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
    rollupOptions: {
      output: {
        entryFileNames: "assets/app.js",
        chunkFileNames: "assets/[name].js",
        assetFileNames: "assets/app[extname]",
        manualChunks: (id) => (id.includes("mpegts.js") ? "player" : undefined),
      },
    },
  },
  server: {
    proxy: { "/api": MOCK, "/healthz": MOCK, "/ws": { target: MOCK, ws: true } },
  },
  plugins: [{ name: "licences", generateBundle: addLicences }],
});

function addLicences() {
  const source = SHIPPED.map(licenceOf).join("\n");
  this.emitFile({ type: "asset", fileName: "licences.txt", source });
}

function licenceOf(name) {
  const folder = new URL(`node_modules/${name}/`, import.meta.url);
  const about = JSON.parse(readFileSync(new URL("package.json", folder), "utf8"));
  const file = readdirSync(folder).find((entry) => /^licen[cs]e/i.test(entry));
  const text = file ? readFileSync(new URL(file, folder), "utf8").trim() : "";
  const head = `${name} ${about.version} (${about.license})`;
  return `${head}\n${"=".repeat(head.length)}\n\n${text}\n`;
}
