import type { Finding } from '../../events/index.js'
import { paint } from '../paint.js'
import { shortPosition } from './moment.js'
import type { PlaceOptions } from './place.js'
import { Progress } from './progress.js'
import { onLog } from './session.js'
import { countOf } from './show/numbers.js'
import { printable } from './show/printable.js'

type Problem = Extract<Finding, { ok: false }>

/** `banyan events verify`: reads everything; ends with 1 if something is damaged. */
export async function verify(options: PlaceOptions & { json?: true }): Promise<void> {
  const { json } = options
  await onLog(options, async ({ log, place, output, signal }) => {
    const progress = new Progress('checked', (await log.stats()).events)
    const findings: Problem[] = []
    let sound: Extract<Finding, { ok: true }> | undefined
    for await (const finding of log.verify({ signal, onProgress: progress.report })) {
      if (finding.ok) {
        sound = finding
      } else {
        findings.push(finding)
        progress.clear()
        if (!json) await output.line(`${paint('red', 'damaged')}  ${problemText(finding)}`)
      }
    }
    progress.clear()
    if (findings.length > 0) process.exitCode = 1
    if (json)
      output.json({
        log: place.name,
        ok: sound !== undefined,
        ...(sound && { events: sound.events, streams: sound.streams }),
        findings,
      })
    else if (sound)
      output.add(
        `${paint('green', `${place.name} is sound`)}: ${countOf(sound.events, 'event')} in ${countOf(sound.streams, 'stream')} checked`,
      )
    else
      console.error(
        paint(
          'red',
          `${place.name} is damaged: ${countOf(findings.length, 'finding')}. Restore a backup; what is sound can be read and exported, with --to and --from around each finding`,
        ),
      )
  })
}

function problemText({ message, position, stream, revision }: Problem): string {
  const place =
    stream === undefined ? [] : [printable(revision === undefined ? stream : `${stream}@${revision}`)]
  const at = position === undefined ? [] : [paint('gray', `position ${shortPosition(position)}`)]
  return [...place, ...at, printable(message)].join('  ')
}
