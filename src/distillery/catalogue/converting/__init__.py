"""From a command line of RepDistiller or a config of mdistiller to a params file.

* ``command``: tells which it is;
* ``repdistiller``, ``mdistiller``: read either, into a ``Converted``;
* ``converted``: writes that as a params file, and checks it.
"""
