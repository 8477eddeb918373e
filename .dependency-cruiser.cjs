/** The arrows of docs/architecture.md: core <- ports <- patterns, ports <- drivers; the node composes. */
module.exports = {
  forbidden: [
    { name: 'no-cycles', severity: 'error', from: {}, to: { circular: true } },
    {
      name: 'core-knows-nothing',
      comment: 'core holds what every plane needs and knows no plane',
      severity: 'error',
      from: { path: '^src/core/' },
      to: { path: '^src/(?!core/)' },
    },
    {
      name: 'planes-are-apart',
      comment: 'a plane imports core and itself; it meets another plane only through a port handed to it',
      severity: 'error',
      from: { path: '^src/(traffic|events|coordination)/' },
      to: {
        path: '^src/(?!core/|$1/|drivers/)',
        pathNot: '^src/(events/log|coordination/coordinator)\\.ts$',
      },
    },
    {
      name: 'policies-know-nothing-of-each-other',
      comment: 'a policy is one file, or one folder, over the port src/traffic/policy.ts',
      severity: 'error',
      from: { path: '^src/traffic/policies/([^/.]+)', pathNot: '\\.test\\.ts$' },
      to: {
        path: '^src/traffic/',
        pathNot: [
          '^src/traffic/(policy|errors|budget|latency-histogram)\\.ts$',
          '^src/traffic/policies/$1[/.]',
        ],
      },
    },
    {
      name: 'data-plane-has-no-policy',
      comment: 'the HTTP data plane moves bytes; it decides nothing',
      severity: 'error',
      from: { path: '^src/traffic/http/', pathNot: '\\.test\\.ts$' },
      to: { path: '^src/traffic/(?!http/|errors\\.ts)' },
    },
    {
      name: 'no-driver-in-patterns',
      severity: 'error',
      comment: 'the one exception is the entry of a plane, which offers its users every driver by name',
      from: {
        path: '^src/(core|traffic|events|coordination)/',
        pathNot: '^src/(events|coordination)/index\\.ts$',
      },
      to: { path: '^src/(drivers|node|cli|testing)/' },
    },
    {
      name: 'drivers-see-ports-only',
      severity: 'error',
      from: { path: '^src/drivers/' },
      to: {
        path: '^src/',
        pathNot: [
          '^src/core/',
          '^src/drivers/',
          '^src/events/(log|driver|replica|names|errors|position|checksum)\\.ts$',
          '^src/events/personal-data/keys\\.ts$',
          '^src/events/event-sourcing/snapshots\\.ts$',
          '^src/events/projections/store\\.ts$',
          '^src/events/(outbox|inbox)/store\\.ts$',
          '^src/events/cdc/source\\.ts$',
          '^src/coordination/(coordinator|driver|errors|feed)\\.ts$',
          '^src/coordination/fencing/store\\.ts$',
          '^src/coordination/resources/(api|define|error|location|object|request|without)\\.ts$',
          '^src/coordination/sharding/(buckets|data/store)\\.ts$',
          '^src/coordination/replication/node\\.ts$',
        ],
      },
    },
    {
      name: 'drivers-know-nothing-of-each-other',
      comment: 'only the files open-*.ts know them all, by name',
      severity: 'error',
      from: { path: '^src/drivers/([^/]+)/' },
      to: { path: '^src/drivers/', pathNot: '^src/drivers/$1/' },
    },
    {
      name: 'library-needs-no-package',
      comment:
        'the planes run on Node alone; packages are for the node, the CLI, and what a gateway loads only if a route asks',
      severity: 'error',
      from: {
        path: '^src/(core|traffic|events|coordination|testing)/',
        pathNot: [
          '\\.test\\.ts$',
          '^src/traffic/gateway/(filters|responders)/',
          '^src/events/types/json-schema\\.ts$',
          '^src/coordination/resources/schema/(compile|rules)\\.ts$',
          '^src/coordination/resources/http/body\\.ts$',
        ],
      },
      to: { dependencyTypes: ['npm', 'npm-dev', 'npm-peer'] },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    exclude: { path: '\\.test\\.ts$' },
  },
}
