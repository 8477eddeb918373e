import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { SagaView } from '../../src/events/index.js'
import type { Answer } from './projections-node.js'

/** Another copy than the one that runs the sagas, as users may have it. */
const FAILURE = fileURLToPath(new URL('../../src/events/saga/failure.ts', import.meta.url))

/** A folder for modules of sagas, and logs. */
export class SagaWorkshop implements Disposable {
  readonly directory = mkdtempSync(join(tmpdir(), 'banyan-sagas-'))

  path(name: string): string {
    return join(this.directory, name)
  }

  write(name: string, text: string): string {
    const file = this.path(name)
    mkdirSync(dirname(file), { recursive: true })
    writeFileSync(file, text)
    return file
  }

  /**
   * A module with a saga that reserves, waits for the signal `paid` if its input says so, and ships: where its input says
   * `mars` that fails, and the reservation cannot be undone as long as there is a file `locked` in the folder.
   *
   * @param options.versions - that it exports
   */
  fulfilment({
    file = 'fulfilment.ts',
    versions = [1],
  }: { file?: string; versions?: readonly number[] } = {}): string {
    const locked = JSON.stringify(this.path('locked'))
    const exported = versions.map(
      (version) => `export const v${version} = {
        name: 'fulfilment',
        version: ${version},
        deadline: '1d',
        attempts: 2,
        backoff: { base: '1ms', max: '1ms' },
        input: checked,
        async run({ to, waits = false }: { to: string; waits?: boolean }, { step, signal }: any) {
          await step('reserve', {
            run: () => ({ place: 7, version: ${version} }),
            compensate: () => {
              if (existsSync(${locked})) throw new Error('the storehouse is locked')
            },
          })
          const payment = waits ? await signal('paid', { timeout: '1h' }) : undefined
          const tracking = await step('ship', () => {
            if (to === 'mars') throw terminal('no carrier goes to mars')
            return 'T-1'
          })
          return { tracking, payment }
        },
      }`,
    )
    return this.write(
      file,
      `import { existsSync } from 'node:fs'
      import { terminal } from ${JSON.stringify(FAILURE)}
      const checked = {
        '~standard': {
          version: 1,
          vendor: 'test',
          validate: (value: any) =>
            typeof value?.to === 'string' ? { value } : { issues: [{ message: 'must be text', path: ['to'] }] },
        },
      }
      ${exported.join('\n')}`,
    )
  }

  [Symbol.dispose](): void {
    rmSync(this.directory, { recursive: true, force: true })
  }
}

/** The sagas of a node, through its admin listener. */
export class AdminSagas {
  readonly #admin: string

  constructor(admin: string) {
    this.#admin = admin
  }

  async get(below = ''): Promise<Answer> {
    return answerOf(await fetch(`${this.#admin}/api/sagas${below}`))
  }

  async post(below: string, body: object = {}): Promise<Answer> {
    const url = `${this.#admin}/api/sagas/${below}`
    return answerOf(await fetch(url, { method: 'POST', body: JSON.stringify(body) }))
  }

  /** Waits until a saga is so. */
  async until(id: string, isSo: (view: SagaView) => boolean): Promise<SagaView> {
    for (;;) {
      const view = (await this.get(`/${id}`)).body as unknown as SagaView
      if (isSo(view)) return view
    }
  }
}

async function answerOf(response: Response): Promise<Answer> {
  return { status: response.status, body: (await response.json()) as Record<string, unknown> }
}

/** It is in this state. */
export const is =
  (status: SagaView['status']) =>
  (view: SagaView): boolean =>
    view.status === status
