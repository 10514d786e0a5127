// Modal dialogs on the browser's own element: it keeps the focus inside and closes on Escape.

import type { ComponentChildren } from "preact";
import { useId, useLayoutEffect, useRef, useState } from "preact/hooks";
import { Icon } from "./icon";

interface DialogProps {
  title: string;
  onClose: () => void;
  /** Only its own buttons close it: for what is shown once. */
  isSticky?: boolean;
  children: ComponentChildren;
}

export function Dialog({ title, onClose, isSticky = false, children }: DialogProps) {
  const element = useRef<HTMLDialogElement>(null);
  const id = useId();
  const isGone = useRef(false);
  useLayoutEffect(() => {
    const dialog = element.current;
    dialog?.showModal();
    return () => {
      isGone.current = true;
      // The browser gives the focus back to where it was.
      dialog?.close();
    };
  }, []);
  const closed = () => {
    if (isGone.current) return;
    // A browser closes on the second Escape in a row, whatever the page says.
    if (isSticky) element.current?.showModal();
    else onClose();
  };
  return (
    <dialog
      ref={element}
      aria-labelledby={id}
      onCancel={(event) => {
        event.preventDefault();
        if (!isSticky) onClose();
      }}
      onClose={closed}
    >
      <header>
        <h2 id={id}>{title}</h2>
        {!isSticky && (
          <button type="button" class="ghost square" aria-label="Close" onClick={onClose}>
            <Icon name="close" />
          </button>
        )}
      </header>
      {children}
    </dialog>
  );
}

interface ConfirmProps {
  title: string;
  text: string;
  action: string;
  onClose: () => void;
  /** Does it, and returns what was wrong, or nothing. */
  onConfirm: () => Promise<string>;
  children?: ComponentChildren;
}

/** Asks before something that cannot be taken back. */
export function Confirm({ title, text, action, onClose, onConfirm, children }: ConfirmProps) {
  return (
    <FormDialog {...{ title, action, onClose }} tone="danger" onSubmit={onConfirm}>
      <p>{text}</p>
      {children}
    </FormDialog>
  );
}

interface FormDialogProps {
  title: string;
  action: string;
  tone?: "primary" | "danger";
  onClose: () => void;
  /** Does it, and returns what was wrong, or nothing. Then the dialog closes. */
  onSubmit: (form: HTMLFormElement) => Promise<string>;
  children: ComponentChildren;
}

/** A dialog that asks for something, and shows what is wrong with it where it was asked. */
export function FormDialog(props: FormDialogProps) {
  const { title, action, tone = "primary", onClose, onSubmit, children } = props;
  const [isBusy, setBusy] = useState(false);
  const [problem, setProblem] = useState("");
  const submit = async (event: Event) => {
    event.preventDefault();
    setBusy(true);
    const found = await onSubmit(event.currentTarget as HTMLFormElement);
    setBusy(false);
    setProblem(found);
    if (!found) onClose();
  };
  return (
    <Dialog title={title} onClose={onClose}>
      <form onSubmit={submit}>
        {children}
        <footer>
          <p class="problem" role="alert">
            {problem}
          </p>
          <button type="button" class="ghost" onClick={onClose}>
            Cancel
          </button>
          <button type="submit" class={tone} disabled={isBusy}>
            {action}
          </button>
        </footer>
      </form>
    </Dialog>
  );
}
