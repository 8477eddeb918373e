import { $, element, everySecond } from './dom.js'

const STEPS = ['copy', 'catch-up', 'verify', 'switch', 'switched', 'drop', 'done']
/** What is shown of them: each is done when a later one has begun. */
const SHOWN = { copy: 'copy', 'catch-up': 'catch up', verify: 'verify', switch: 'switch', drop: 'drop' }

/** Where orders are, what moves, and whether all files together have what was ordered. */
async function showFiles() {
  const answer = await fetch('/history/')
  if (!answer.ok) {
    $('exact').textContent = 'the history does not answer'
    $('exact').className = 'badge failed'
    return
  }
  const { ordered, found, files, moves, isMoving } = await answer.json()
  const isExact = found === ordered
  $('exact').textContent = isExact
    ? `${ordered} ordered = ${found} in the files`
    : `${ordered} ordered ≠ ${found} in the files`
  $('exact').className = `badge ${isExact ? 'ok' : 'failed'}`
  const all = files.reduce((sum, { buckets }) => sum + buckets, 0)
  $('files').replaceChildren(...files.map((file) => fileOf(file, all)))
  // One after the other: what comes behind the first that is not switched has not begun.
  const first = moves.findIndex(({ step }) => !['switched', 'done'].includes(step))
  $('moves').replaceChildren(...moves.map((move, index) => moveOf(move, first !== -1 && index > first)))
  const hasThird = files.some(({ file, buckets }) => file === 'c' && buckets > 0)
  $('resize').hidden = isMoving
  $('resize').textContent = hasThird ? 'Take the third file away' : 'Add a third file'
  $('resize').dataset.files = hasThird ? 2 : 3
  $('files-note').textContent = noteOf(isMoving, hasThird)
}

function noteOf(isMoving, hasThird) {
  if (isMoving)
    return 'Customers move from one file to another one, some at a time, while orders are taken. The number above counts all files, and is exact all the while.'
  return hasThird
    ? 'Each customer is in one of three SQLite files. A query over everything asks all of them.'
    : 'Each customer is in one of two SQLite files. With 40 orders a third one comes by itself: turn on the traffic below, and watch.'
}

/** A bar as long as its part of all customers. */
function fileOf({ file, buckets, orders }, all) {
  const bar = element('span', `${orders} orders, ${buckets} of ${all} buckets`, 'ok')
  bar.style.width = `${(100 * buckets) / all}%`
  bar.hidden = buckets === 0
  return element('div', [element('code', `orders-${file}.db`), element('div', bar, 'bar')], 'books')
}

function moveOf({ buckets, from, to, rows, step, problem }, isWaiting) {
  const at = isWaiting ? -1 : STEPS.indexOf(step)
  const steps = Object.entries(SHOWN).map(([name, shown]) => {
    const index = STEPS.indexOf(name)
    return element('span', shown, `step ${at > index ? 'done' : at === index ? 'now' : ''}`)
  })
  const why = problem ? [element('span', problem, 'note')] : []
  return element('li', [
    element('b', `${from} → ${to}`),
    ...steps,
    element('span', `buckets ${buckets}${isWaiting ? '' : `: ${rows} orders`}`, 'numbers'),
    ...why,
  ])
}

$('resize').addEventListener('click', async ({ currentTarget }) => {
  await fetch(`/shop/files/${currentTarget.dataset.files}`, { method: 'POST' })
  await showFiles()
})
everySecond(showFiles)
