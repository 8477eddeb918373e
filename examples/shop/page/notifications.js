import { $, element, everySecond, timeOf } from './dom.js'

async function showNotifications() {
  const { notifications, sent } = await (await fetch('/notifications/')).json()
  $('sent').textContent = `${sent} sent`
  const lines = notifications.map(({ time, to, text }) =>
    element('li', [element('time', timeOf(time)), element('b', to), element('span', text)]),
  )
  $('notifications').replaceChildren(...(lines.length > 0 ? lines : [element('li', 'None yet.')]))
}

everySecond(showNotifications)
