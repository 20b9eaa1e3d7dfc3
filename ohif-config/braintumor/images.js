/** Images that did not come: said in the panel, with the way to get them. */
import { leaving } from './session.js';
import { notify } from './store.js';

const again = () => {
  leaving();
  window.location.reload();
};

/** Listen until the returned function is called. `app-config.js` sends the event whenever a request of OHIF's own fails. */
export function follow() {
  const lost = () =>
    notify({
      key: 'images',
      kind: 'error',
      title: 'Some images did not arrive',
      detail: 'Slices may be missing. Edits are kept in this browser and offered after loading again.',
      actions: [{ label: 'Load again', run: again }],
    });
  window.addEventListener('braintumor:lost', lost);
  return () => window.removeEventListener('braintumor:lost', lost);
}
