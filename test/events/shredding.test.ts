import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { openLog, openSubjectKeys, personalData } from '../../src/events/index.js'

const directory = mkdtempSync(join(tmpdir(), 'banyan-shredding-'))
afterAll(() => rmSync(directory, { recursive: true }))

/** Everything under the directory, byte for byte. */
function contents(): Buffer {
  const files = readdirSync(directory, { recursive: true, withFileTypes: true }).filter((entry) =>
    entry.isFile(),
  )
  return Buffer.concat(files.map((file) => readFileSync(join(file.parentPath, file.name))))
}

test('nothing readable of who was forgotten is left on disk', async () => {
  const keys = await openSubjectKeys(`sqlite:${join(directory, 'keys')}`)
  const types = { Called: { subject: 'customer', fields: ['name', 'notes.*'], metadata: ['actor'] } }
  const log = await openLog(`sqlite:${join(directory, 'data')}`, {
    transforms: [personalData({ keys, types })],
  })
  const read = async (): Promise<unknown[]> => {
    const found: unknown[] = []
    for await (const { data } of log.read()) found.push(data)
    return found
  }

  const secrets: string[] = []
  const secret = (text: string): string => {
    secrets.push(text)
    return text
  }
  for (let index = 0; index < 100; index++) {
    const customer = `c${index % 5}`
    const data = {
      customer,
      name: secret(`Lovelace-${index}`),
      notes: [secret(`called-${index}`), secret(`"quoted"-${index}`)],
      call: index,
    }
    const metadata = { actor: secret(`agent-${index}`) }
    await log.append({ streams: [{ stream: customer, events: [{ type: 'Called', data, metadata }] }] })
  }
  const key = await keys.get('c1')
  const bytes = (key as Exclude<typeof key, string | undefined>).key.export()
  expect(contents().includes(bytes)).toBe(true)

  await keys.forget('c1')
  for (const when of ['open', 'closed']) {
    const left = contents()
    expect(left.includes(bytes), when).toBe(false)
    expect(
      secrets.filter((text) => left.includes(text) || left.includes(JSON.stringify(text).slice(1, -1))),
    ).toEqual([])
    if (when === 'closed') break
    const events = await read()
    expect(events).toHaveLength(100)
    expect(events[1]).toEqual({ customer: 'c1', name: null, notes: [null, null], call: 1 })
    expect(events[2]).toMatchObject({ customer: 'c2', name: 'Lovelace-2' })
    await log.close()
    await keys.close()
  }
})
