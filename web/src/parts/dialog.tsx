// Modal dialogs on the browser's own element: it keeps the focus inside and closes on Escape.

import type { ComponentChildren } from "preact";
import { useEffect, useId, useRef, useState } from "preact/hooks";
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
  useEffect(() => {
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
  onConfirm: () => Promise<boolean>;
  children?: ComponentChildren;
}

/** Asks before something that cannot be taken back. */
export function Confirm({ title, text, action, onClose, onConfirm, children }: ConfirmProps) {
  const [isBusy, setBusy] = useState(false);
  const submit = async (event: Event) => {
    event.preventDefault();
    setBusy(true);
    const isDone = await onConfirm();
    setBusy(false);
    if (isDone) onClose();
  };
  return (
    <Dialog title={title} onClose={onClose}>
      <form onSubmit={submit}>
        <p>{text}</p>
        {children}
        <footer>
          <button type="button" class="ghost" onClick={onClose}>
            Cancel
          </button>
          <button type="submit" class="danger" disabled={isBusy}>
            {action}
          </button>
        </footer>
      </form>
    </Dialog>
  );
}
