// The dashboard: starts the connection and draws.

import { render } from "preact";
import { App } from "./app";
import { start } from "./store";
import "./style.css";

const root = document.getElementById("app");
if (root) {
  start();
  render(<App />, root);
}
