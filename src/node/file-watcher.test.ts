import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import { systemClock } from '../core/clock.js'
import { FileWatcher } from './file-watcher.js'

const cleanUps: (() => unknown)[] = []

afterEach(() => {
  for (const cleanUp of cleanUps.splice(0).reverse()) cleanUp()
})

function folder(): string {
  const path = mkdtempSync(join(tmpdir(), 'banyan-watch-'))
  cleanUps.push(() => rmSync(path, { recursive: true }))
  return path
}

/** A watcher, and how to wait for the next change that it tells of. */
function watching(...files: string[]) {
  let count = 0
  let heard: (() => void) | undefined
  const watcher = new FileWatcher(
    systemClock,
    () => {
      count++
      heard?.()
    },
    (error) => {
      throw error
    },
  )
  cleanUps.push(() => watcher.close())
  watcher.watch(files)
  return {
    watcher,
    changes: () => count,
    change: () => new Promise<void>((resolve) => (heard = resolve)),
  }
}

describe('a change is told once', () => {
  test('of a file that is written to, however many writes it takes', async () => {
    const file = join(folder(), 'a.yaml')
    writeFileSync(file, '0')
    const { change, changes } = watching(file)
    const heard = change()
    for (let round = 1; round <= 50; round++) writeFileSync(file, `${round}`)
    await heard
    const next = change()
    writeFileSync(file, 'again')
    await next
    expect(changes()).toBe(2)
  })

  test('of a file that another takes the place of', async () => {
    const file = join(folder(), 'a.yaml')
    writeFileSync(file, '0')
    const { change } = watching(file)
    for (let round = 1; round <= 3; round++) {
      const heard = change()
      writeFileSync(`${file}.new`, `${round}`)
      renameSync(`${file}.new`, file)
      await heard
    }
  })

  test('of a file that goes away, and comes back', async () => {
    const file = join(folder(), 'a.yaml')
    writeFileSync(file, '0')
    const { change } = watching(file)
    const gone = change()
    rmSync(file)
    await gone
    const back = change()
    writeFileSync(file, '0')
    await back
  })

  test('of a file behind a link that is moved, as Kubernetes changes a ConfigMap', async () => {
    const mount = folder()
    for (const version of ['1', '2']) {
      mkdirSync(join(mount, version))
      writeFileSync(join(mount, version, 'banyan.yaml'), version)
    }
    symlinkSync('1', join(mount, '..data'))
    symlinkSync(join('..data', 'banyan.yaml'), join(mount, 'banyan.yaml'))
    const { change } = watching(join(mount, 'banyan.yaml'))
    const heard = change()
    symlinkSync('2', join(mount, '..data_tmp'))
    renameSync(join(mount, '..data_tmp'), join(mount, '..data'))
    await heard
  })

  test('of a file in another folder that a link leads to', async () => {
    const [here, there] = [folder(), folder()]
    writeFileSync(join(there, 'real.yaml'), '0')
    symlinkSync(join(there, 'real.yaml'), join(here, 'a.yaml'))
    const { change } = watching(join(here, 'a.yaml'))
    const heard = change()
    writeFileSync(join(there, 'real.yaml'), '1')
    await heard
  })
})

test('the same content, and other files of the folder, are no change', async () => {
  const path = folder()
  const file = join(path, 'a.yaml')
  writeFileSync(file, '0')
  const { change, changes } = watching(file)
  const heard = change()
  writeFileSync(join(path, 'other'), '1')
  writeFileSync(file, '0')
  writeFileSync(file, '1')
  await heard
  expect(changes()).toBe(1)
})

test('other files take the place of those watched', async () => {
  const [a, b] = [join(folder(), 'a'), join(folder(), 'b')]
  writeFileSync(a, '0')
  writeFileSync(b, '0')
  const { watcher, change, changes } = watching(a)
  watcher.watch([b])
  const heard = change()
  writeFileSync(a, '1')
  writeFileSync(b, '1')
  await heard
  expect(changes()).toBe(1)
})
