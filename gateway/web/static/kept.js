// What this browser remembers of the pictures it made: small pictures and words, in IndexedDB. The pictures themselves
// lie at the gateway until they expire. Each key sees its own.

import { keyFor } from "./api.js";

const NAME = "imagegate";
let opened = null;

function database() {
  opened ??= new Promise((resolve, reject) => {
    const request = indexedDB.open(NAME, 1);
    request.onupgradeneeded = () => {
      request.result.createObjectStore("pictures", { keyPath: "id" }).createIndex("mine", ["owner", "id"]);
      request.result.createObjectStore("thumbs");
    };
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
  return opened;
}

/** Whose pictures are shown: 32 bits tell keys apart, and tell nobody a key. */
export function owner() {
  let hash = 0x811c9dc5;
  for (const letter of keyFor()) hash = Math.imul(hash ^ letter.charCodeAt(0), 0x01000193) >>> 0;
  return hash;
}

const mine = () => IDBKeyRange.bound([owner(), ""], [owner(), "\uffff"]);

function done(transaction) {
  return new Promise((resolve, reject) => {
    transaction.oncomplete = () => resolve();
    transaction.onerror = transaction.onabort = () => reject(transaction.error);
  });
}

function answer(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

/** Remember pictures of `whose` key, with what made them; `entries` are [{blob, small, ...words}], where `small` is the same picture
 * small; null = the gateway could make none, and the picture itself is kept. Their ids sort by time. */
export async function keep(entries, whose = owner()) {
  const store = await database();
  const transaction = store.transaction(["pictures", "thumbs"], "readwrite");
  const now = Date.now();
  entries.forEach(({ blob, small, ...words }, place) => {
    const id = `${String(now).padStart(15, "0")}-${String(999 - (words.index ?? place)).padStart(3, "0")}-${Math.random().toString(36).slice(2, 8)}`;
    transaction.objectStore("pictures").put({ ...words, id, owner: whose, made: now, bytes: blob.size });
    transaction.objectStore("thumbs").put(small ?? blob, id);
  });
  await done(transaction);
}

/** The ids of this key's pictures, newest first; of those whose prompt or model holds `text`, where it is given. */
export async function ids(text = "") {
  const index = (await database()).transaction("pictures").objectStore("pictures").index("mine");
  if (!text.trim()) return (await answer(index.getAllKeys(mine()))).reverse();
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  const found = [];
  await new Promise((resolve, reject) => {
    const cursor = index.openCursor(mine(), "prev");
    cursor.onerror = () => reject(cursor.error);
    cursor.onsuccess = () => {
      const at = cursor.result;
      if (!at) return resolve();
      const said = `${at.value.prompt} ${at.value.model}`.toLowerCase();
      if (words.every((word) => said.includes(word))) found.push(at.value.id);
      return at.continue();
    };
  });
  return found;
}

/** One picture's words and small picture; null where it is gone. */
export async function recall(id) {
  const transaction = (await database()).transaction(["pictures", "thumbs"]);
  const [entry, thumb] = await Promise.all([
    answer(transaction.objectStore("pictures").get(id)),
    answer(transaction.objectStore("thumbs").get(id)),
  ]);
  return entry ? { ...entry, thumb } : null;
}

/** Change what is remembered of one picture. */
export async function amend(id, words) {
  const transaction = (await database()).transaction("pictures", "readwrite");
  const store = transaction.objectStore("pictures");
  const before = await answer(store.get(id));
  if (before) store.put({ ...before, ...words });
  await done(transaction);
}

/** Forget this key's pictures, or one of them. */
export async function forget(one) {
  const gone = one ? [one] : await ids();
  const transaction = (await database()).transaction(["pictures", "thumbs"], "readwrite");
  for (const id of gone) {
    transaction.objectStore("pictures").delete(id);
    transaction.objectStore("thumbs").delete(id);
  }
  await done(transaction);
}
