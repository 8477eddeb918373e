import { readFileSync } from 'node:fs'
import type { OpenApiSpec } from '../../traffic/gateway/filters/openapi/spec.js'
import type { GatewaySpec } from '../../traffic/gateway/spec.js'
import type { ConfigProblem, Path } from './problem.js'

/** A problem of a document has a place of its own; one of its file has that of the configuration. */
export type DocumentCheck = Pick<ConfigProblem, 'severity' | 'path' | 'message'> &
  Partial<Pick<ConfigProblem, 'file' | 'line' | 'column'>>

/** Reads and checks every OpenAPI document that a configuration names. Loads its libraries only if there is one. */
export async function checkDocuments({ services, routes }: GatewaySpec): Promise<DocumentCheck[]> {
  const named = [
    ...Object.entries(services).map(([name, { openapi }]) => ({
      path: ['services', name, 'openapi'],
      openapi,
    })),
    ...Object.entries(routes).map(([name, { openapi }]) => ({ path: ['routes', name, 'openapi'], openapi })),
  ]
  const found: DocumentCheck[] = []
  for (const { path, openapi } of named) {
    if (openapi !== undefined) found.push(...(await checkDocument(path, openapi)))
  }
  for (const [name, { to, openapi }] of Object.entries(routes)) {
    const documents = (Array.isArray(to) ? to : []).map(({ service }) =>
      JSON.stringify(services[service]?.openapi),
    )
    if (openapi !== undefined || new Set(documents).size < 2) continue
    found.push({
      severity: 'error',
      path: ['routes', name, 'to'],
      message: 'the services have different OpenAPI documents; give the route one of its own',
    })
  }
  return found
}

async function checkDocument(path: Path, given: string | OpenApiSpec): Promise<DocumentCheck[]> {
  const { document, base } = typeof given === 'string' ? { document: given } : given
  let text: string
  try {
    text = readFileSync(document, 'utf8')
  } catch (error) {
    return [{ severity: 'error', path, message: `cannot read the file: ${(error as Error).message}` }]
  }
  const { Contract } = await import('../../traffic/gateway/filters/openapi/contract.js')
  const { formatPointer } = await import('../../traffic/gateway/filters/openapi/source.js')
  return new Contract(text, base, 1).problems.map(({ pointer, message, line, column }) => ({
    severity: 'error',
    file: document,
    line,
    column,
    path,
    message: pointer.length === 0 ? message : `${formatPointer(pointer)}: ${message}`,
  }))
}
