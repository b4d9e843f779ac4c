// Notes that last: kept in the host's store, and shared by all runs of this tool.

import log from 'fusebox:host/log@0.1.0';
import state from 'fusebox:host/state@0.1.0';

// Keys of the store begin so, which leaves room for others.
const NOTES = 'note/';

export const notebook = {
  keep({ name, text }) {
    asked(() => state.set('tool', NOTES + name, bytes(text)));
    log.info(`kept "${name}", ${text.length} characters`);
  },

  recall(name) {
    const value = asked(() => state.get('tool', NOTES + name));
    if (value == null) {
      throw { tag: 'unknown', val: name };
    }
    return { name, text: characters(value) };
  },

  names(prefix) {
    return asked(() => state.listKeys('tool', NOTES + prefix)).map((key) => key.slice(NOTES.length));
  },
};

// What the store answers; its refusal is an error of this tool's own.
function asked(question) {
  try {
    return question();
  } catch (error) {
    throw { tag: 'refused', val: error.payload?.val ?? String(error) };
  }
}

// UTF-8, for which QuickJS has no TextEncoder.
function bytes(text) {
  const escaped = encodeURIComponent(text);
  return Uint8Array.from(
    escaped.match(/%..|[^%]/g) ?? [],
    (part) => (part.length > 1 ? parseInt(part.slice(1), 16) : part.charCodeAt(0)),
  );
}

function characters(utf8) {
  return decodeURIComponent(Array.from(utf8, (byte) => '%' + byte.toString(16).padStart(2, '0')).join(''));
}
