import { $, element, everySecond, timeOf } from './dom.js'

/** Where the log was after the last thing done here: what is read must not be older. */
let position
/** In the address, so that the order is still here after a reload. */
let order = location.hash.slice(1)

async function showCatalogue() {
  const answer = await fetch('/catalog/', { headers: position ? { 'Log-Position': position } : {} })
  if (!answer.ok) return
  const { items } = await answer.json()
  $('items').replaceChildren(
    ...items.map(({ sku, name, price, before, ordered, free = '?' }) => {
      const button = element('button', 'Order')
      button.addEventListener('click', () => command(sku))
      const numbers = element('span', `${ordered} ordered, ${free} left`, 'numbers')
      const cost = element('span', before === undefined ? `€ ${price}` : `€ ${price} instead of € ${before}`)
      return element('div', [element('b', name), cost, numbers, button], 'item')
    }),
  )
}

/** Orders an item, or does something with the order that there is. */
async function command(path) {
  const by = new URLSearchParams({ customer: $('customer').value })
  const answer = await fetch(`/orders/${path}?${by}`, {
    method: 'POST',
    headers: { 'Idempotency-Key': crypto.randomUUID() },
  })
  const body = await answer.json()
  $('refusal').textContent = answer.ok ? '' : body.detail
  if (answer.ok) {
    position = answer.headers.get('Log-Position')
    order = body.order
    history.replaceState(null, '', `#${order}`)
  }
  await Promise.all([showCatalogue(), showOrder()])
}

async function showOrder() {
  for (const button of $('commands').querySelectorAll('button')) button.disabled = !order
  if (!order) return
  const [now, trail] = await Promise.all([fetch(`/orders/${order}`), fetch(`/orders/${order}/audit`)])
  if (!now.ok || !trail.ok) return
  const { status, sku, customer } = await now.json()
  $('order-id').textContent = order
  $('order-status').textContent = status
  const { audit } = await trail.json()
  // Only what is new is shown anew: nobody should lose what they are pointing at.
  const seen = `${order} ${audit.length}`
  if ($('history').dataset.seen === seen) return
  $('history').dataset.seen = seen
  $('history').replaceChildren(...audit.map(entryOf))
  $('order-note').textContent = `${sku} for ${customer}. Choose a line to see the order as it was then.`
}

/** A line of the audit trail. */
function entryOf({ time, type, actor, undoes, redoes, revision }) {
  const button = element('button', [
    element('time', timeOf(time)),
    element('b', type),
    element('span', `by ${actor}${undoes ? ', an undo' : ''}${redoes ? ', a redo' : ''}`),
  ])
  button.addEventListener('click', async () => {
    const path = `/orders/${order}?revision=${revision}`
    const { servedBy, ...was } = await (await fetch(path)).json()
    $('order-note').replaceChildren(element('code', `GET ${path}`), ` ${JSON.stringify(was)}`)
  })
  return element('li', button)
}

for (const button of $('commands').querySelectorAll('button'))
  button.addEventListener('click', () => command(`${order}/${button.dataset.command}`))
everySecond(showCatalogue)
everySecond(showOrder)
