"""The environment of reader processes: an allow-list, because they parse foreign bytes.

Secrets of notifiers stay in the parent. What a source's settings take from ``${NAME}`` is in its settings
already; here is what libraries read by themselves, and what an operator names.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

#: Names further variables for readers, with commas between.
MORE_VARIABLE = "DRIFTWATCH_READER_ENV"
_SYSTEM = (
    "PATH HOME USER LOGNAME SHELL TMPDIR TEMP TMP TZ TZDIR LANG LANGUAGE VIRTUAL_ENV CONDA_PREFIX"
    " LD_LIBRARY_PATH LD_PRELOAD GLIBC_TUNABLES DYLD_LIBRARY_PATH DYLD_FALLBACK_LIBRARY_PATH SYSTEMROOT"
)
_NETWORK = (
    "HTTP_PROXY HTTPS_PROXY ALL_PROXY NO_PROXY http_proxy https_proxy all_proxy no_proxy SSL_CERT_FILE"
    " SSL_CERT_DIR CURL_CA_BUNDLE REQUESTS_CA_BUNDLE OPENSSL_CONF KRB5_CONFIG KRB5CCNAME KRB5_KTNAME"
    " KRB5_CLIENT_KTNAME"
)
#: Each by its name: PG begins the name of many a token.
_DATABASES = (
    "PGHOST PGHOSTADDR PGPORT PGDATABASE PGUSER PGPASSWORD PGPASSFILE PGSERVICE PGSERVICEFILE PGSYSCONFDIR"
    " PGOPTIONS PGAPPNAME PGSSLMODE PGSSLCERT PGSSLKEY PGSSLCERTMODE PGSSLROOTCERT PGSSLCRL PGSSLCRLDIR"
    " PGSSLSNI PGSSLNEGOTIATION PGSSLMINPROTOCOLVERSION PGSSLMAXPROTOCOLVERSION PGREQUIREAUTH PGREQUIREPEER"
    " PGREQUIRESSL PGCHANNELBINDING PGGSSENCMODE PGGSSLIB PGGSSDELEGATION PGKRBSRVNAME PGCONNECT_TIMEOUT"
    " PGCLIENTENCODING PGTARGETSESSIONATTRS PGLOADBALANCEHOSTS PGTZ PGDATESTYLE MYSQL_HOME ODBCINI ODBCSYSINI"
    " ODBCINSTINI TNS_ADMIN ORACLE_HOME"
)
_OBJECT_STORES = "GOOGLE_APPLICATION_CREDENTIALS GOOGLE_CLOUD_PROJECT CLOUDSDK_CONFIG GCE_METADATA_HOST"
_NAMES = frozenset(f"{_SYSTEM} {_NETWORK} {_DATABASES} {_OBJECT_STORES} {MORE_VARIABLE}".split())
#: Families that Python, the C library, the object stores' libraries and kernels of numbers read.
_PREFIXES = ("PYTHON", "LC_", "AWS_", "AZURE_", "ARROW_", "NPY_", "OPENBLAS_", "MKL_", "OMP_")
#: One thread per reader: several readers run in parallel, and every thread costs address space.
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")
_PACKAGES = str(Path(__file__).parents[4])


def reader_environment(environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    names = _NAMES.union(name.strip() for name in environ.get(MORE_VARIABLE, "").split(","))
    variables = {
        name: value for name, value in environ.items() if name in names or name.startswith(_PREFIXES)
    }
    variables |= dict.fromkeys(_THREADS, "1")
    # An allocator that returns memory to the system.
    variables |= {"ARROW_DEFAULT_MEMORY_POOL": "system", "MALLOC_ARENA_MAX": "1"}
    variables["PYTHONPATH"] = os.pathsep.join(filter(None, (_PACKAGES, variables.get("PYTHONPATH"))))
    return variables
