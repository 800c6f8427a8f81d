// Questions before an action: what it will do, the token that it needs, and
// what came of it.

import { h, render, say } from './dom.js';
import { token } from './api.js';

let shown = null;

function open(describe) {
  const opener = document.activeElement;
  const element = document.createElement('dialog');
  element.setAttribute('aria-labelledby', 'question');
  document.getElementById('dialogs').append(element);
  const dialog = {
    element,
    show: () => render(element, describe(dialog)),
    close: () => element.close(),
  };
  element.addEventListener('close', () => {
    element.remove();
    if (shown === dialog) shown = null;
    if (opener?.isConnected) opener.focus();
  });
  element.addEventListener('cancel', (event) => dialog.busy && event.preventDefault());
  shown = dialog;
  dialog.show();
  element.showModal();
  return dialog;
}

function tokenField(label) {
  return h('label', { class: 'field' },
    h('span', null, label),
    h('input', { type: 'password', name: 'token', autocomplete: 'off', spellcheck: 'false', autofocus: true }));
}

/**
 * Asks before an action. `effects` are sentences, `verb` is the button's text,
 * `act` gets the token and returns what came of it as a text. The token is that of
 * this dialog alone, and kept nowhere: the page reads with another one.
 */
export function ask({ title, effects, verb, danger, act, after }) {
  let state = 'asking';
  let answer = '';
  const run = async (dialog, form) => {
    const given = form.elements.namedItem('token').value.trim() || token.get();
    if (!given) {
      answer = 'Enter a token of scope admin.';
      return dialog.show();
    }
    state = 'busy';
    dialog.busy = true;
    answer = '';
    dialog.show();
    try {
      answer = await act(given);
      state = 'done';
    } catch (error) {
      answer = error.message;
      state = 'asking';
    }
    dialog.busy = false;
    dialog.show();
    say(answer);
    if (state === 'done') {
      after?.();
      dialog.element.querySelector('button')?.focus();
    }
  };
  open((dialog) => h('form', {
    method: 'dialog',
    on: {
      submit: (event) => {
        event.preventDefault();
        if (state === 'done') dialog.close();
        else if (state === 'asking') run(dialog, event.target);
      },
    },
  },
  h('h2', { id: 'question' }, title),
  state !== 'done' && h('ul', null, effects.map((effect) => h('li', null, effect))),
  state !== 'done' && tokenField(token.get()
    ? 'Token of scope admin, for this action only (empty: the one that the page reads with)'
    : 'Token of scope admin, for this action only'),
  answer && h('p', { class: `answer ${state === 'done' ? 'good' : 'bad'}`, role: 'alert' }, answer),
  h('div', { class: 'actions' }, state === 'done'
    ? h('button', { key: 'close', type: 'submit', class: 'first' }, 'Close')
    : [
      h('button', { key: 'cancel', type: 'button', disabled: state === 'busy', on: { click: dialog.close } }, 'Cancel'),
      h('button', {
        key: 'act', type: 'submit', class: danger ? 'danger' : 'first', disabled: state === 'busy',
      }, state === 'busy' ? 'Working…' : verb),
    ])));
}

/** Lets somebody enter the token for reading, or forget it. */
export function askToken() {
  open((dialog) => h('form', {
    method: 'dialog',
    on: {
      submit: (event) => {
        event.preventDefault();
        token.set(event.target.elements.namedItem('token').value.trim());
        document.dispatchEvent(new Event('sluice-token'));
        dialog.close();
      },
    },
  },
  h('h2', { id: 'question' }, 'Access token'),
  h('p', { class: 'muted' }, 'The page sends it to this node with each request. It is kept until this tab is closed.'),
  tokenField('Token'),
  h('div', { class: 'actions' },
    h('button', { type: 'button', on: { click: dialog.close } }, 'Cancel'),
    token.get() && h('button', {
      type: 'button',
      on: {
        click: () => {
          token.set('');
          document.dispatchEvent(new Event('sluice-token'));
          dialog.close();
        },
      },
    }, 'Forget it'),
    h('button', { type: 'submit', class: 'first' }, 'Use'))));
}
