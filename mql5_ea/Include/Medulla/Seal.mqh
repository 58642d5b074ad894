//+------------------------------------------------------------------+
//| Seal.mqh - HMAC-SHA256 (RFC 2104) and unpredictable numbers.     |
//| CryptEncode only hashes, so the HMAC is built from its hash.     |
//+------------------------------------------------------------------+
#ifndef MEDULLA_SEAL_MQH
#define MEDULLA_SEAL_MQH
#include <Medulla\Text.mqh>

#define MAC_SIZE   32
#define HASH_BLOCK 64

void Sha256(const uchar &data[],uchar &digest[])
  {
   uchar no_key[];
   ArrayResize(digest,0);
   CryptEncode(CRYPT_HASH_SHA256,data,no_key,digest);
  }

string Sha256Hex(const uchar &data[])
  {
   uchar digest[];
   Sha256(data,digest);
   return(HexOf(digest));
  }

//--- A key, and what it proves.
class CSeal
  {
private:
   uchar             m_inner[];
   uchar             m_outer[];
public:
   void              SetKey(const uchar &key[]);
   bool              HasKey() const { return(ArraySize(m_inner)==HASH_BLOCK); }
   void              Mac(const uchar &body[],uchar &mac[]) const;
   bool              Proves(const uchar &body[],const uchar &mac[]) const;
  };

void CSeal::SetKey(const uchar &key[])
  {
   uchar block[];
   if(ArraySize(key)>HASH_BLOCK)
      Sha256(key,block);
   else
      ArrayCopy(block,key);
   ArrayResize(m_inner,HASH_BLOCK);
   ArrayResize(m_outer,HASH_BLOCK);
   for(int i=0; i<HASH_BLOCK; i++)
     {
      int b=(i<ArraySize(block) ? (int)block[i] : 0);
      m_inner[i]=(uchar)(b^0x36);
      m_outer[i]=(uchar)(b^0x5C);
     }
  }

void CSeal::Mac(const uchar &body[],uchar &mac[]) const
  {
   uchar text[];
   uchar digest[];
   ArrayCopy(text,m_inner);
   AppendBytes(text,body);
   Sha256(text,digest);
   ArrayResize(text,0);
   ArrayCopy(text,m_outer);
   AppendBytes(text,digest);
   Sha256(text,mac);
  }

//--- takes the same time wherever the first difference lies
bool CSeal::Proves(const uchar &body[],const uchar &mac[]) const
  {
   uchar right[];
   if(!HasKey() || ArraySize(mac)!=MAC_SIZE)
      return(false);
   Mac(body,right);
   int difference=(ArraySize(right)==MAC_SIZE ? 0 : 1);
   for(int i=0; i<ArraySize(right) && i<MAC_SIZE; i++)
      difference|=(int)right[i]^(int)mac[i];
   return(difference==0);
  }

//--- MQL5 has no cryptographic random source. The pool collects what an outsider cannot watch: the jitter of the microsecond
//--- counter while work of varying length runs, times, the account and the market. Session numbers need no more than to be
//--- unguessable without the key; a key of 32 bytes is better made by the executor (README, step 4).
class CEntropy
  {
private:
   uchar             m_pool[];
   ulong             m_counter;
public:
                     CEntropy() { m_counter=0; }
   void              Stir(const string seasoning);
   void              Gather(const int rounds);
   string            Hex32();
  };

void CEntropy::Stir(const string seasoning)
  {
   uchar more[];
   m_counter++;
   BytesOf(StringFormat("%s|%I64u|%I64u|%I64u|%d",seasoning,m_counter,GetMicrosecondCount(),GetTickCount64(),MathRand()),more);
   AppendBytes(more,m_pool);
   Sha256(more,m_pool);
  }

void CEntropy::Gather(const int rounds)
  {
   Stir(AccountInfoString(ACCOUNT_NAME)+AccountInfoString(ACCOUNT_SERVER)+TerminalInfoString(TERMINAL_DATA_PATH));
   Stir(StringFormat("%I64d|%I64d|%I64d",ChartID(),(long)TimeLocal(),TerminalInfoInteger(TERMINAL_MEMORY_USED)));
   Stir(DoubleToString(AccountInfoDouble(ACCOUNT_EQUITY),8));
   for(int i=0; i<rounds; i++)
      Stir("");
  }

string CEntropy::Hex32()
  {
   uchar digest[];
   uchar first[];
   Stir("out");
   Sha256(m_pool,digest);
   ArrayCopy(first,digest,0,0,16);
   return(HexOf(first));
  }
#endif
//+------------------------------------------------------------------+
