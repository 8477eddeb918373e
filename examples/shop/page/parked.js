import { $, element, everySecond } from './dom.js'

const lookAt = (what) => element('code', `npx banyan ${what} -a http://127.0.0.1:8081`)

/** What does not go on by itself: messages that nobody can be told, and sagas that can go neither on nor back. */
async function showParked() {
  const [subscription, saga] = await Promise.all(
    ['/shop/notifications', '/shop/sagas'].map(async (path) => (await fetch(path)).json()),
  )
  const count = subscription.stalled.parked + saga.parked.length
  $('parked-count').textContent = count
  $('parked').replaceChildren(
    ...subscription.lanes.filter(({ state }) => state === 'parked').map(laneOf),
    ...saga.parked.map(({ id, at }) => parked(id, at)),
  )
  $('mend').hidden = count === 0
  $('parked-note').replaceChildren(
    ...(count === 0
      ? ['Nothing. Order something for ghost or nobody.']
      : [
          'All others go on. ',
          lookAt('subscriptions show notifications'),
          ' ',
          lookAt('sagas list --status parked'),
        ]),
  )
}

function laneOf({ key, reason, heldBack }) {
  const behind = heldBack?.count ? ` ${heldBack.count} more of this order behind it.` : ''
  return parked(key, `${reason}.${behind}`)
}

function parked(name, why) {
  return element('li', [element('b', name), element('span', why)], 'parked')
}

$('mend').addEventListener('click', async () => {
  await fetch('/shop/mend', { method: 'POST' })
  await showParked()
})
everySecond(showParked)
