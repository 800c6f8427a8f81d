from daemon import ROOT
from numbered import HOST, PORT
from syslog_ng import run_syslog_ng

SCL = ROOT / "usr/share/syslog-ng/include/scl"

run_syslog_ng(f"""
@include "{SCL}/elasticsearch/elastic-http.conf"
destination d_sluice {{
    elasticsearch-http(url("http://{HOST}:{PORT}/_bulk") index("logs") type(""));
}};
""")
