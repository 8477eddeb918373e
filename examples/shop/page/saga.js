import { $, element, everySecond } from './dom.js'

const TRY =
  'A saga: if it cannot be finished, what was done is undone. Cancel within ten seconds, or order for broke, whose card is refused, or for ghost, whom neither parcels nor money reach.'

/** How far the saga of the order is: each step, and what has become of it. */
async function showSaga() {
  const order = location.hash.slice(1)
  if (!order) return
  const answer = await fetch(`/shop/fulfilment/${order}`)
  if (!answer.ok) return
  const { saga, why, steps } = await answer.json()
  $('saga').replaceChildren(
    element('b', 'fulfilment'),
    ...steps.map(({ name, status, tried }) => {
      const step = element('span', name, `step ${status}`)
      step.title = `${status}${tried ? `, tries that failed: ${tried}` : ''}`
      return step
    }),
    element('span', saga, 'badge'),
  )
  $('saga-note').textContent = why ? `${why}.` : TRY
}

everySecond(showSaga)
