// Entry: shows the chat to one who is signed in, the door to anybody else.
//
// Invariant: what is shown belongs to the person the session names, in every tab, at any time.
// Left out: everything else.

import { Api } from './api.js';
import { Client } from './client.js';
import { Edges } from './edges.js';
import { Http } from './http.js';
import { OutboxStore } from './outbox-store.js';
import { Session } from './session.js';
import { Storage } from './storage.js';
import { createAuthView } from './auth-view.js';
import { createChatView } from './chat-view.js';

const root = document.getElementById('app');
const storage = new Storage();
const edges = new Edges({ own: location.origin, storage });
const http = new Http({ edges });
const session = new Session({ storage, http });
const api = new Api({ http, session });

let shown;
let end = () => {};

function show() {
  const { userId } = session;
  if (userId === shown) return;
  end();
  for (const dialog of document.querySelectorAll('dialog')) dialog.close();
  shown = userId;
  if (userId === null) showDoor();
  else showChat(userId);
}

function showDoor() {
  document.title = 'Natter';
  end = () => {};
  root.replaceChildren(createAuthView({ api, entered: show }));
}

function showChat(userId) {
  const client = new Client({ api, session, edges, store: new OutboxStore({ storage, userId }) });
  const view = createChatView({ client, api });
  end = () => {
    client.stop();
    view.end();
    if (session.userId === null) location.hash = '';
  };
  root.replaceChildren(view.element);
  view.render();
  client.start();
}

session.watch(show);
show();
