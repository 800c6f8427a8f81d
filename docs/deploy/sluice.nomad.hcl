# Three nodes under Nomad, one per machine. The program is expected in
# /usr/local/bin of each client, beside a Consul agent on 127.0.0.1:8500.
job "sluice" {
  datacenters = ["dc1"]
  type        = "service"

  # One at a time: a leader that is stopped releases the lock first.
  update {
    max_parallel     = 1
    health_check     = "task_states"
    min_healthy_time = "5s"
  }

  group "node" {
    count = 3

    constraint {
      operator = "distinct_hosts"
      value    = "true"
    }

    # Keeps the epoch and the compiled sinks where possible.
    ephemeral_disk {
      size    = 1000
      sticky  = true
      migrate = true
    }

    network {
      mode = "host"
      port "http" {
        static = 3000
      }
      port "health" {
        static = 3001
      }
    }

    restart {
      attempts = 10
      interval = "5m"
      delay    = "1s"
      mode     = "delay"
    }

    task "sluice" {
      driver = "exec"

      config {
        command = "/usr/local/bin/sluice"
        # The index is unique in the job, and an allocation that replaces another
        # one has the same index.
        args = ["node", "--name", "node-${NOMAD_ALLOC_INDEX}"]
      }

      env {
        CONSUL_HTTP_ADDR     = "127.0.0.1:8500"
        SLUICE_LISTEN        = "0.0.0.0:${NOMAD_PORT_http}"
        SLUICE_HEALTH_LISTEN = "0.0.0.0:${NOMAD_PORT_health}"
        SLUICE_ADVERTISE     = "${NOMAD_IP_http}"
        SLUICE_DATA_DIR      = "${NOMAD_ALLOC_DIR}/data/sluice"
        SLUICE_LOG_FORMAT    = "json"

        # Below the memory of the task, with what the node takes itself.
        SLUICE_MAX_COMPILE_MEMORY = "512MiB"
      }

      resources {
        cpu    = 500
        memory = 1024
      }

      # The node registers itself in Consul, so there is no service here.
      # SIGTERM, then time to drain and to leave Consul (drain-timeout and 6 s).
      kill_signal  = "SIGTERM"
      kill_timeout = "15s"
    }
  }
}
