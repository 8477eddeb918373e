import { $, element, everySecond, timeOf } from './dom.js'

const SHOW = 'npx banyan subscriptions show notifications -c examples/shop/banyan.yaml'

async function showNotifications() {
  const { notifications, sent } = await (await fetch('/notifications/')).json()
  $('sent').textContent = `${sent} sent`
  const lines = notifications.map(({ time, to, text }) =>
    element('li', [element('time', timeOf(time)), element('b', to), element('span', text)]),
  )
  $('notifications').replaceChildren(...(lines.length > 0 ? lines : [element('li', 'None yet.')]))
}

/** What nobody could be told: the message that failed, and what waits behind it in its lane. */
async function showParked() {
  const { stalled, lanes } = await (await fetch('/shop/notifications')).json()
  $('parked-count').textContent = stalled.parked
  $('parked').replaceChildren(
    ...lanes
      .filter(({ state }) => state === 'parked')
      .map(({ key, reason, heldBack }) => {
        const behind = heldBack?.count ? ` ${heldBack.count} more of this order behind it.` : ''
        return element('li', [element('b', key), element('span', `${reason}.${behind}`)], 'parked')
      }),
  )
  $('mend').hidden = stalled.parked === 0
  $('parked-note').replaceChildren(
    ...(stalled.parked === 0
      ? ['Nothing. Order something for nobody, whose address is not known: only that order is held up.']
      : ['All other orders go on. ', element('code', SHOW)]),
  )
}

$('mend').addEventListener('click', async () => {
  await fetch('/shop/mend', { method: 'POST' })
  await Promise.all([showParked(), showNotifications()])
})
everySecond(showNotifications)
everySecond(showParked)
