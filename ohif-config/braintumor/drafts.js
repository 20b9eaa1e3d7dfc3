/**
 * Unsaved edits, kept in the browser's own database until the server has confirmed them: a closed tab, a crashed browser or
 * a server that does not answer loses nothing.
 *
 * A draft has an id of its own, so that two tabs, or edits begun before an old draft was restored, overwrite nothing.
 */
const DATABASE = 'braintumor-edits';
const DRAFTS = 'drafts';

/** @returns {Promise<IDBDatabase>} */
function open() {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open(DATABASE, 1);
    request.onupgradeneeded = () => {
      request.result.createObjectStore(DRAFTS, { keyPath: 'id' }).createIndex('study', 'study');
    };
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

/**
 * @template Result
 * @param {IDBTransactionMode} mode
 * @param {(drafts: IDBObjectStore) => IDBRequest<Result>} action
 * @returns {Promise<Result>}
 */
async function within(mode, action) {
  const database = await open();
  try {
    return await new Promise((resolve, reject) => {
      const transaction = database.transaction(DRAFTS, mode);
      const request = action(transaction.objectStore(DRAFTS));
      transaction.oncomplete = () => resolve(request.result);
      transaction.onerror = () => reject(transaction.error);
      transaction.onabort = () => reject(transaction.error);
    });
  } finally {
    database.close();
  }
}

/** @param {Panel.Draft} draft */
export const keep = draft => within('readwrite', drafts => drafts.put(draft));

/**
 * Drafts of a study, newest first.
 *
 * @param {string} study
 * @returns {Promise<Panel.Draft[]>}
 */
export async function find(study) {
  const all = await within('readonly', drafts => drafts.index('study').getAll(study));
  return all.sort((a, b) => b.at - a.at);
}

/** @param {string} id */
export const forget = id => within('readwrite', drafts => drafts.delete(id));
