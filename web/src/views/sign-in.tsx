// Asks for the token when the address did not bring one.

import { fieldText } from "../parts/bits";
import { signIn } from "../store";

export function SignIn({ isRefused }: { isRefused: boolean }) {
  const submit = (event: Event) => {
    event.preventDefault();
    const value = fieldText(event.currentTarget as HTMLFormElement, "token");
    if (value) signIn(value);
  };
  return (
    <main class="sign-in">
      <form class="panel" onSubmit={submit}>
        <div class="brand">
          <img src="/favicon.svg" alt="" width="28" height="28" />
          <h1>Stream Manager</h1>
        </div>
        <div class="field">
          <label for="token">Token</label>
          <input
            id="token"
            name="token"
            type="password"
            autocomplete="current-password"
            required
            aria-describedby="token-hint"
            aria-invalid={isRefused}
          />
          <small id="token-hint">
            The node prints it when it starts in a terminal, and keeps it in its data folder. It
            stays in this tab and goes nowhere else.
          </small>
        </div>
        <p class="problem" role="alert">
          {isRefused && "The node does not accept this token. Check it, or use the node's new one."}
        </p>
        <button type="submit" class="primary">
          Sign in
        </button>
      </form>
    </main>
  );
}
